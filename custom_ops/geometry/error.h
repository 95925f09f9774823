// Why a request for patches cannot be met, told without TensorFlow's Status.
#ifndef TF_PATCHES_GEOMETRY_ERROR_H_
#define TF_PATCHES_GEOMETRY_ERROR_H_

#include <cstdint>
#include <string>
#include <vector>

namespace tf_patches {

// The classes TensorFlow's own op answers with.
enum class ErrorKind { kInvalidArgument, kOutOfRange, kUnimplemented };

struct Error {
  ErrorKind kind;
  std::string message;
};

// A list as messages show it: [1, 2, 3].
std::string ToString(const std::vector<int64_t>& values);

// A shape as TensorFlow shows it: [1,2,3].
std::string ShapeToString(const std::vector<int64_t>& shape);

// Faults of tensors, which only a front end sees, in the same words from each.
// Shapes come as they are to be shown; `axes` counts the axes of space that the
// patches have.

// `images` or `patches` of `shape`, which has not `axes` + 2 dimensions.
Error WrongImages(int axes, const std::string& shape);
Error WrongPatches(int axes, const std::string& shape);

// `image_shape` is no vector of `axes` + 2 integers, but a tensor of `shape`.
Error WrongImageShape(int axes, const std::string& shape);

// `patches` are not those of an image of `image_shape`, which are `expected`.
Error Mismatch(const std::string& patches, const std::string& image_shape,
               const std::string& expected);

// `patches` hold no whole number of values for each of the `pixels` of a patch.
Error NotWholePixels(int64_t pixels, const std::string& patches);

// The constant is one element of `bytes`, not of as many as `got`.
Error WrongConstant(int64_t bytes, int64_t got);

}  // namespace tf_patches

#endif  // TF_PATCHES_GEOMETRY_ERROR_H_
