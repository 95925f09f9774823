// Where patches lie, found by walking over the image a step at a time: what
// the geometry and the kernels are compared with.
#ifndef TF_PATCHES_TESTS_NATIVE_WALK_H_
#define TF_PATCHES_TESTS_NATIVE_WALK_H_

#include <algorithm>
#include <cstdint>
#include <optional>

#include "geometry/patch_spec.h"
#include "native/requests.h"

namespace tf_patches {

struct Walk {
  int64_t count;
  int64_t pad_before;
};

// Nothing where the request is invalid.
inline std::optional<Walk> WalkAxis(int64_t image, const AxisSpec& spec,
                                    Padding padding) {
  const int64_t span = (spec.size - 1) * spec.rate + 1;
  Walk walk = {0, 0};
  if (padding == Padding::kValid) {
    // TensorFlow's rounding lets a patch be larger than the image, by less than
    // two strides, and answers with no patches.
    if (span - image >= 2 * spec.stride) return std::nullopt;
    for (int64_t at = 0; at + span <= image; at += spec.stride) ++walk.count;
    return walk;
  }
  int64_t overhang = 0;
  for (int64_t at = 0; at < image; at += spec.stride) {
    ++walk.count;
    overhang = at + span - image;
  }
  walk.pad_before = std::max<int64_t>(0, overhang) / 2;
  return walk;
}

// Calls `visit(tap, pixel)` for every pixel of every patch in the order in
// which patches are stored, `tap` counting them; `pixel` is the pixel of the
// images that it shows, -1 where that lies outside.
template <typename Visit>
void ForEachTap(const Request& request, const Visit& visit) {
  const auto& [rows, cols, padding] = request.spec;
  const auto [batch, height, width, depth] = request.images;
  const Walk down = *WalkAxis(height, rows, padding);
  const Walk across = *WalkAxis(width, cols, padding);
  int64_t tap = 0;
  for (int64_t image = 0; image < batch; ++image) {
    for (int64_t row = 0; row < down.count; ++row) {
      for (int64_t col = 0; col < across.count; ++col) {
        for (int64_t i = 0; i < rows.size; ++i) {
          for (int64_t j = 0; j < cols.size; ++j) {
            const int64_t y =
                row * rows.stride - down.pad_before + i * rows.rate;
            const int64_t x =
                col * cols.stride - across.pad_before + j * cols.rate;
            const bool inside = 0 <= y && y < height && 0 <= x && x < width;
            visit(tap++, inside ? (image * height + y) * width + x : -1);
          }
        }
      }
    }
  }
}

}  // namespace tf_patches

#endif  // TF_PATCHES_TESTS_NATIVE_WALK_H_
