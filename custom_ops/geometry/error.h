// Why a request for patches cannot be met, told without TensorFlow's Status.
#ifndef TF_PATCHES_GEOMETRY_ERROR_H_
#define TF_PATCHES_GEOMETRY_ERROR_H_

#include <cstdint>
#include <string>
#include <vector>

namespace tf_patches {

// The classes of the errors of TensorFlow's own op.
enum class ErrorKind { kInvalidArgument, kOutOfRange, kUnimplemented };

struct Error {
  ErrorKind kind;
  std::string message;
};

// A list as messages show it: [1, 2, 3].
std::string ToString(const std::vector<int64_t>& values);

// A shape as TensorFlow shows it: [1,2,3].
std::string ShapeToString(const std::vector<int64_t>& shape);

// Faults of tensors, which only front ends see: all front ends use the same
// words. Shapes are text; `axes` is the number of axes of space.

// `images` or `patches` have `shape`, not `axes` + 2 dimensions.
Error WrongImages(int axes, const std::string& shape);
Error WrongPatches(int axes, const std::string& shape);

// `image_shape` is a tensor of `shape`, not a vector of `axes` + 2 integers.
Error WrongImageShape(int axes, const std::string& shape);

// `patches` do not have the shape `expected` of patches of `image_shape`.
Error Mismatch(const std::string& patches, const std::string& image_shape,
               const std::string& expected);

// The last axis of `patches` is not a multiple of the `pixels` of a patch.
Error NotWholePixels(int64_t pixels, const std::string& patches);

// The constant has `got` bytes, and an element has `bytes`.
Error WrongConstant(int64_t bytes, int64_t got);

}  // namespace tf_patches

#endif  // TF_PATCHES_GEOMETRY_ERROR_H_
