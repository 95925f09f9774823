// What a caller asks for: the size, stride and rate of patches along each axis,
// and what they show outside of the image.
#ifndef TF_PATCHES_GEOMETRY_PATCH_SPEC_H_
#define TF_PATCHES_GEOMETRY_PATCH_SPEC_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "geometry/error.h"

namespace tf_patches {

// TensorFlow's own op counts in 32 bits, and larger requests are refused.
inline constexpr int64_t kInt32Max = 2147483647;

// Images with fewer axes have the last axes.
inline constexpr int kMostAxes = 3;
inline constexpr const char* kAxisNames[kMostAxes] = {"planes", "rows", "cols"};

enum class Padding {
  kValid,
  kSame,
  // Like SAME. But if patches do not reach the end of the image, the first
  // patch begins inside of the image, after half of the rest.
  // tf.extract_volume_patches does so.
  kSameUnclamped,
  kExplicit,
};

// What patches show outside of the image, as in numpy.pad: a constant, or
// pixels of the image.
enum class Border { kConstant, kReflect, kSymmetric, kEdge, kWrap };

struct AxisSpec {
  int64_t size = 1;
  int64_t stride = 1;
  int64_t rate = 1;
  int64_t before = 0;  // pixels of an explicit padding
  int64_t after = 0;

  // Pixels from a patch's first tap to its last, both included.
  int64_t EffectiveSize() const { return (size - 1) * rate + 1; }
};

struct PatchSpec {
  int axes;  // of space; those that are missing have patches of one pixel
  std::array<AxisSpec, kMostAxes> axis;
  Padding padding;
  Border border;

  int64_t patch_pixels() const {
    return axis[0].size * axis[1].size * axis[2].size;
  }

  // The sizes along existing axes.
  std::vector<int64_t> sizes() const {
    std::vector<int64_t> sizes;
    for (int i = kMostAxes - axes; i < kMostAxes; ++i) {
      sizes.push_back(axis[i].size);
    }
    return sizes;
  }
};

// The attributes of an op: lists of [1, rows, cols, 1], for two axes of space,
// and, for an explicit padding, [0, 0, top, bottom, left, right, 0, 0].
struct PatchAttributes {
  std::vector<int64_t> sizes;
  std::vector<int64_t> strides;
  std::vector<int64_t> rates;
  Padding padding = Padding::kValid;
  std::vector<int64_t> explicit_paddings;
  Border border = Border::kConstant;
};

// The number of axes of space of tensors with `dims` dimensions. If `dims` is
// impossible, the number that the attributes have.
int CountAxes(int dims, const PatchAttributes& attributes);

// Faults of the attribute `name`, that has `values`, for so many axes of space.
Error WrongLength(const std::string& name, const std::vector<int64_t>& values,
                  int axes);
Error TooSmall(const std::string& name, const std::vector<int64_t>& values,
               int axes);

// Reads `attributes` for images with so many axes of space into `spec`. Returns
// an error for the first wrong attribute, with the class of TensorFlow's op.
std::optional<Error> ParsePatchSpec(const PatchAttributes& attributes, int axes,
                                    PatchSpec* spec);

}  // namespace tf_patches

#endif  // TF_PATCHES_GEOMETRY_PATCH_SPEC_H_
