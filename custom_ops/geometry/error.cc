#include "geometry/error.h"

#include <cstdint>
#include <string>
#include <vector>

#include "geometry/patch_spec.h"

namespace tf_patches {
namespace {

// "[batch, planes, rows, cols, depth]", with words before and after each axis.
std::string Layout(int axes, const std::string& before,
                   const std::string& last) {
  std::string text = "[batch, ";
  for (int i = kMostAxes - axes; i < kMostAxes; ++i) {
    text += before + kAxisNames[i] + ", ";
  }
  return text + last + "]";
}

std::string SizesTimesDepth(int axes) {
  std::string text;
  for (int i = kMostAxes - axes; i < kMostAxes; ++i) {
    text += std::string("size_") + kAxisNames[i] + " * ";
  }
  return text + "depth";
}

}  // namespace

std::string ToString(const std::vector<int64_t>& values) {
  std::string text = "[";
  for (size_t i = 0; i < values.size(); ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(values[i]);
  }
  return text + "]";
}

std::string ShapeToString(const std::vector<int64_t>& shape) {
  std::string text;
  for (const int64_t dimension : shape) {
    text += (text.empty() ? "" : ",") + std::to_string(dimension);
  }
  return "[" + text + "]";
}

Error WrongImages(int axes, const std::string& shape) {
  return {ErrorKind::kInvalidArgument,
          "images must be " + std::to_string(axes + 2) + "-dimensional, " +
              Layout(axes, "", "depth") + ", but got shape " + shape + "."};
}

Error WrongPatches(int axes, const std::string& shape) {
  return {ErrorKind::kInvalidArgument,
          "patches must be " + std::to_string(axes + 2) + "-dimensional, " +
              Layout(axes, "out_", SizesTimesDepth(axes)) + ", but got shape " +
              shape + "."};
}

Error WrongImageShape(int axes, const std::string& shape) {
  return {ErrorKind::kInvalidArgument,
          "image_shape must be a vector of " + std::to_string(axes + 2) +
              " integers, " + Layout(axes, "", "depth") + ", but got shape " +
              shape + "."};
}

Error Mismatch(const std::string& patches, const std::string& image_shape,
               const std::string& expected) {
  return {ErrorKind::kInvalidArgument,
          "patches of shape " + patches + " do not match image_shape " +
              image_shape + ", whose patches have shape " + expected + "."};
}

Error NotWholePixels(int64_t pixels, const std::string& patches) {
  return {ErrorKind::kInvalidArgument,
          "The last axis of patches must be a multiple of " +
              std::to_string(pixels) +
              ", the pixels of a patch, but got shape " + patches + "."};
}

Error WrongConstant(int64_t bytes, int64_t got) {
  return {ErrorKind::kInvalidArgument,
          "constant_values must be the " + std::to_string(bytes) +
              " bytes of one value, or none for zero, but got " +
              std::to_string(got) + " bytes."};
}

}  // namespace tf_patches
