#include "geometry/error.h"

#include <cstdint>
#include <string>

namespace tf_patches {

Error WrongImages(const std::string& shape) {
  return {ErrorKind::kInvalidArgument,
          "images must be 4-dimensional, [batch, rows, cols, depth], but got "
          "shape " +
              shape + "."};
}

Error WrongPatches(const std::string& shape) {
  return {ErrorKind::kInvalidArgument,
          "patches must be 4-dimensional, [batch, out_rows, out_cols, "
          "size_rows * size_cols * depth], but got shape " +
              shape + "."};
}

Error WrongImageShape(const std::string& shape) {
  return {ErrorKind::kInvalidArgument,
          "image_shape must be a vector of 4 integers, [batch, rows, cols, "
          "depth], but got shape " +
              shape + "."};
}

Error Mismatch(const std::string& patches, const std::string& image_shape,
               const std::string& expected) {
  return {ErrorKind::kInvalidArgument,
          "patches of shape " + patches + " do not match image_shape " +
              image_shape + ", whose patches have shape " + expected + "."};
}

Error NotWholePixels(int64_t rows, int64_t cols, const std::string& patches) {
  return {ErrorKind::kInvalidArgument,
          "The last axis of patches must be a multiple of " +
              std::to_string(rows * cols) + ", the pixels of a patch (sizes " +
              std::to_string(rows) + " by " + std::to_string(cols) +
              "), but got shape " + patches + "."};
}

}  // namespace tf_patches
