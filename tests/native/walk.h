// Where patches lie, found by walking over the image a step at a time: what
// the geometry and the kernels are compared with.
#ifndef TF_PATCHES_TESTS_NATIVE_WALK_H_
#define TF_PATCHES_TESTS_NATIVE_WALK_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

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
  if (padding == Padding::kValid || padding == Padding::kExplicit) {
    const int64_t padded = spec.before + image + spec.after;
    // TensorFlow's rounding lets a patch be larger than the image, by less than
    // two strides, and answers with no patches.
    if (span - padded >= 2 * spec.stride) return std::nullopt;
    for (int64_t at = 0; at + span <= padded; at += spec.stride) ++walk.count;
    walk.pad_before = spec.before;
    return walk;
  }
  int64_t overhang = 0;
  for (int64_t at = 0; at < image; at += spec.stride) {
    ++walk.count;
    overhang = at + span - image;
  }
  const bool may_be_negative = padding == Padding::kSameUnclamped;
  walk.pad_before =
      (may_be_negative ? overhang : std::max<int64_t>(0, overhang)) / 2;
  return walk;
}

// The pixel of `image` pixels that is seen at `at`: found by walking there from
// the first pixel, and turning at the ends. -1 if it is none of them.
inline int64_t WalkTo(int64_t at, int64_t image, Border border) {
  if (0 <= at && at < image) return at;
  // From far away, after as many turns as do not matter.
  const int64_t period = 2 * image * std::max<int64_t>(1, image - 1);
  if (at < -period) at = at % period - period;
  if (at >= image + period) at = image + (at - image) % period;
  const int64_t step = at < 0 ? -1 : 1;
  int64_t seen = 0;
  int64_t direction = step;
  for (int64_t i = 0; i != at; i += step) {
    const int64_t next = seen + direction;
    if (0 <= next && next < image) {
      seen = next;
      continue;
    }
    switch (border) {
      case Border::kConstant:
        return -1;
      case Border::kEdge:
        break;
      case Border::kWrap:
        seen = step < 0 ? image - 1 : 0;
        break;
      case Border::kReflect:
        direction = -direction;
        if (image > 1) seen += direction;
        break;
      case Border::kSymmetric:
        direction = -direction;
        break;
    }
  }
  return seen;
}

// Calls `visit(tap, pixel)` for every pixel of every patch, axis by axis: for
// each patch along the planes, for each of its taps, and so on. `tap` is its
// number in the order in which patches are stored; `pixel` is the pixel of the
// images that it shows, -1 where that is the constant.
template <typename Visit>
void ForEachTap(const Request& request, const Visit& visit) {
  const PatchSpec& spec = request.spec;
  const auto& [up, down, across] = spec.axis;
  const std::array<int64_t, kMostAxes> space = request.space();
  std::array<Walk, kMostAxes> walk;
  std::array<std::vector<int64_t>, kMostAxes> seen;  // by patch, then by tap
  for (int i = 0; i < kMostAxes; ++i) {
    const AxisSpec& axis = spec.axis[i];
    walk[i] = *WalkAxis(space[i], axis, spec.padding);
    for (int64_t index = 0; index < walk[i].count; ++index) {
      for (int64_t tap = 0; tap < axis.size; ++tap) {
        const int64_t at =
            index * axis.stride - walk[i].pad_before + tap * axis.rate;
        seen[i].push_back(WalkTo(at, space[i], spec.border));
      }
    }
  }
  for (int64_t image = 0; image < request.images[0]; ++image) {
    for (int64_t plane = 0; plane < walk[0].count; ++plane) {
      for (int64_t p = 0; p < up.size; ++p) {
        const int64_t z = seen[0][plane * up.size + p];
        for (int64_t row = 0; row < walk[1].count; ++row) {
          for (int64_t r = 0; r < down.size; ++r) {
            const int64_t y = seen[1][row * down.size + r];
            for (int64_t col = 0; col < walk[2].count; ++col) {
              const int64_t patch =
                  ((image * walk[0].count + plane) * walk[1].count + row) *
                      walk[2].count +
                  col;
              for (int64_t c = 0; c < across.size; ++c) {
                const int64_t x = seen[2][col * across.size + c];
                const int64_t tap =
                    ((patch * up.size + p) * down.size + r) * across.size + c;
                const int64_t pixel =
                    ((image * space[0] + z) * space[1] + y) * space[2] + x;
                visit(tap, std::min({x, y, z}) < 0 ? -1 : pixel);
              }
            }
          }
        }
      }
    }
  }
}

}  // namespace tf_patches

#endif  // TF_PATCHES_TESTS_NATIVE_WALK_H_
