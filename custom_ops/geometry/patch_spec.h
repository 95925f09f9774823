// What a caller asks for: the size, stride and rate of patches along each axis.
#ifndef TF_PATCHES_GEOMETRY_PATCH_SPEC_H_
#define TF_PATCHES_GEOMETRY_PATCH_SPEC_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "geometry/error.h"

namespace tf_patches {

// TensorFlow's own op counts in 32 bits; no request may exceed what it counts.
inline constexpr int64_t kInt32Max = 2147483647;

enum class Padding { kValid, kSame };

struct AxisSpec {
  int64_t size;
  int64_t stride;
  int64_t rate;

  // Pixels from a patch's first tap to its last, both included.
  int64_t EffectiveSize() const { return (size - 1) * rate + 1; }
};

struct PatchSpec {
  AxisSpec rows;
  AxisSpec cols;
  Padding padding;
};

// Faults of the attribute `name`, that has `values`.
Error WrongLength(const std::string& name, const std::vector<int32_t>& values);
Error TooSmall(const std::string& name, const std::vector<int32_t>& values);

// Reads the op's attributes, each `[1, rows, cols, 1]`, into `spec`. Returns
// the error of the first one that is wrong, of the class TensorFlow's op gives.
std::optional<Error> ParsePatchSpec(const std::vector<int32_t>& sizes,
                                    const std::vector<int32_t>& strides,
                                    const std::vector<int32_t>& rates,
                                    Padding padding, PatchSpec* spec);

}  // namespace tf_patches

#endif  // TF_PATCHES_GEOMETRY_PATCH_SPEC_H_
