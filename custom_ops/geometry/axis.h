// How patches lie along one axis of an image.
#ifndef TF_PATCHES_GEOMETRY_AXIS_H_
#define TF_PATCHES_GEOMETRY_AXIS_H_

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "geometry/error.h"
#include "geometry/patch_spec.h"

namespace tf_patches {

// Integers from `begin` up to, not including, `end`.
struct Range {
  int64_t begin;
  int64_t end;

  int64_t size() const { return end - begin; }
  bool empty() const { return begin >= end; }
  bool Holds(int64_t value) const { return begin <= value && value < end; }
};

// Tap `tap` of patch `index`.
struct Tap {
  int64_t index;
  int64_t tap;
};

// Patch `index` has `patch` taps; tap `t` lies on pixel `Start(index) + t *
// rate`, which may be outside of the image.
struct Axis {
  int64_t image = 1;
  int64_t patch = 1;
  int64_t stride = 1;
  int64_t rate = 1;
  int64_t pad_before = 0;  // negative if the first patch begins inside
  int64_t count = 1;
  Border border = Border::kConstant;

  int64_t EffectiveSize() const { return (patch - 1) * rate + 1; }

  int64_t Start(int64_t index) const { return index * stride - pad_before; }
  int64_t Pixel(int64_t index, int64_t tap) const {
    return Start(index) + tap * rate;
  }

  // The pixel of the image that `pixel` shows; negative for the constant.
  int64_t Source(int64_t pixel) const {
    return 0 <= pixel && pixel < image ? pixel : SourceOutside(pixel);
  }

  // Pixels that patches cover.
  Range Covered() const {
    return {Start(0), Start(count - 1) + EffectiveSize()};
  }

  // Taps of patch `index` that lie on pixels of `pixels`.
  Range TapsOn(int64_t index, Range pixels) const {
    const int64_t start = Start(index);
    const int64_t begin = FirstAtLeast(pixels.begin - start);
    const int64_t end = FirstAtLeast(pixels.end - start);
    return {begin, std::max(begin, end)};
  }

  Range TapsInside(int64_t index) const { return TapsOn(index, {0, image}); }

  // Patches that lie wholly inside the image.
  Range Inside() const {
    const int64_t begin =
        std::clamp<int64_t>(CeilDiv(pad_before, stride), 0, count);
    const int64_t room = image - EffectiveSize() + pad_before;
    const int64_t end = room < 0 ? 0 : std::min(count, room / stride + 1);
    return {begin, std::max(begin, end)};
  }

  // Patches that reach into `pixels`, with a tap or between taps. `pixels` is
  // not empty.
  Range PatchesOver(Range pixels) const {
    const int64_t before = pixels.begin + pad_before - EffectiveSize() + 1;
    const int64_t begin = std::max<int64_t>(0, CeilDiv(before, stride));
    const int64_t room = pixels.end - 1 + pad_before;
    const int64_t end = room < 0 ? 0 : std::min(count, room / stride + 1);
    return {begin, std::max(begin, end)};
  }

  // Pixels that are covered like the pixels a stride further on. These lie away
  // from the ends of the first and the last patches, and no border shows them.
  Range Even() const;

  // The taps that show `pixel` of the image, patch by patch.
  std::vector<Tap> TapsOver(int64_t pixel) const;

  // Whether every patch is the whole axis, as it is.
  bool IsWhole() const {
    return patch == image && count == 1 && pad_before == 0 &&
           (rate == 1 || patch == 1);
  }
  // Whether each pixel is a patch.
  bool IsPixels() const {
    return patch == 1 && stride == 1 && pad_before == 0 && count == image;
  }

 private:
  static int64_t CeilDiv(int64_t a, int64_t b) {
    return a / b + (a % b > 0 ? 1 : 0);
  }

  // The first tap at least `distance` pixels after a patch's start.
  int64_t FirstAtLeast(int64_t distance) const {
    if (distance <= 0) return 0;
    return std::min(patch, CeilDiv(distance, rate));
  }

  int64_t SourceOutside(int64_t pixel) const;
};

// Checks one axis and fills `axis`. `name` is one of kAxisNames.
std::optional<Error> MakeAxis(const char* name, int64_t image,
                              const AxisSpec& spec, Padding padding,
                              Border border, Axis* axis);

}  // namespace tf_patches

#endif  // TF_PATCHES_GEOMETRY_AXIS_H_
