// Why a request for patches cannot be met, told without TensorFlow's Status.
#ifndef TF_PATCHES_GEOMETRY_ERROR_H_
#define TF_PATCHES_GEOMETRY_ERROR_H_

#include <cstdint>
#include <string>

namespace tf_patches {

// The classes TensorFlow's own op answers with.
enum class ErrorKind { kInvalidArgument, kOutOfRange, kUnimplemented };

struct Error {
  ErrorKind kind;
  std::string message;
};

// Faults of tensors, which only a front end sees, in the same words from each.
// Shapes come as they are to be shown.

// `images` or `patches` of `shape`, which has not 4 dimensions.
Error WrongImages(const std::string& shape);
Error WrongPatches(const std::string& shape);

// `image_shape` is no vector of 4 integers, but a tensor of `shape`.
Error WrongImageShape(const std::string& shape);

// `patches` are not those of an image of `image_shape`, which are `expected`.
Error Mismatch(const std::string& patches, const std::string& image_shape,
               const std::string& expected);

// `patches` of `rows` times `cols` pixels hold no whole number of values of
// each pixel.
Error NotWholePixels(int64_t rows, int64_t cols, const std::string& patches);

}  // namespace tf_patches

#endif  // TF_PATCHES_GEOMETRY_ERROR_H_
