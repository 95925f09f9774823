// How a grid of patches lies on a batch of images. Counts and positions only:
// no dtype, no memory.
#ifndef TF_PATCHES_GEOMETRY_PATCH_GRID_H_
#define TF_PATCHES_GEOMETRY_PATCH_GRID_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "geometry/error.h"
#include "geometry/patch_spec.h"

namespace tf_patches {

// Integers from `begin` up to, not including, `end`.
struct Range {
  int64_t begin;
  int64_t end;

  int64_t size() const { return end - begin; }
  bool empty() const { return begin >= end; }
};

// The patches over one pixel, first to last: for n < `count`, patch
// `index + n * index_step` has its tap `tap - n * tap_step` on the pixel.
struct Cover {
  int64_t index;
  int64_t tap;
  int64_t count;
  int64_t index_step;
  int64_t tap_step;
};

// Patches along one axis of the image. Patch `index` has `patch` taps; tap `t`
// lies on pixel `Start(index) + t * rate`, which may be outside of the image.
struct Axis {
  int64_t image;
  int64_t patch;
  int64_t stride;
  int64_t rate;
  int64_t pad_before;
  int64_t count;
  // Of all patches over a pixel, from one to the next, as in Cover.
  int64_t common;  // the greatest common divisor of stride and rate
  int64_t index_step;
  int64_t tap_step;
  int64_t unit_tap;  // unit_tap * index_step leaves 1, divided by tap_step

  int64_t EffectiveSize() const { return (patch - 1) * rate + 1; }

  int64_t Start(int64_t index) const { return index * stride - pad_before; }

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
    const int64_t begin = std::min(count, CeilDiv(pad_before, stride));
    const int64_t room = image - EffectiveSize() + pad_before;
    const int64_t end = room < 0 ? 0 : std::min(count, room / stride + 1);
    return {begin, std::max(begin, end)};
  }

  // Patches that reach into `pixels`, of which there are some: with a tap, or
  // between taps.
  Range PatchesOver(Range pixels) const {
    const int64_t before = pixels.begin + pad_before - EffectiveSize() + 1;
    const int64_t begin = std::max<int64_t>(0, CeilDiv(before, stride));
    const int64_t last = (pixels.end - 1 + pad_before) / stride;
    return {begin, std::max(begin, std::min(count, last + 1))};
  }

  // Pixels that are covered as those a stride further on, which are under the
  // next patches: away from where the first and the last patches begin and end.
  Range Even() const {
    return {std::max<int64_t>(0, EffectiveSize() - 1 - pad_before),
            std::min(image, count * stride - pad_before)};
  }

  // Patches that have a tap on `pixel`.
  Cover Over(int64_t pixel) const;

 private:
  static int64_t CeilDiv(int64_t a, int64_t b) {
    return a / b + (a % b > 0 ? 1 : 0);
  }

  // The first tap at least `distance` pixels after a patch's start.
  int64_t FirstAtLeast(int64_t distance) const {
    if (distance <= 0) return 0;
    return std::min(patch, CeilDiv(distance, rate));
  }
};

// Checks one axis and fills `axis`. `name` is "rows" or "cols".
std::optional<Error> MakeAxis(const char* name, int64_t image,
                              const AxisSpec& spec, Padding padding,
                              Axis* axis);

// Images are `[batch, rows.image, cols.image, depth]`, patches are
// `[batch, rows.count, cols.count, rows.patch * cols.patch * depth]`, both
// row-major. The bytes of either, for elements of up to 16, fit in 63 bits.
struct PatchGrid {
  int64_t batch;
  Axis rows;
  Axis cols;
  int64_t depth;

  int64_t patch_depth() const { return rows.patch * cols.patch * depth; }
  int64_t patch_count() const { return batch * rows.count * cols.count; }
  int64_t image_rows() const { return batch * rows.image; }

  std::array<int64_t, 4> image_shape() const {
    return {batch, rows.image, cols.image, depth};
  }
  std::array<int64_t, 4> patches_shape() const {
    return {batch, rows.count, cols.count, patch_depth()};
  }
};

// Lays the patches of `spec` on images of `image_shape`, all of it known.
std::optional<Error> MakePatchGrid(const std::array<int64_t, 4>& image_shape,
                                   const PatchSpec& spec, PatchGrid* grid);

}  // namespace tf_patches

#endif  // TF_PATCHES_GEOMETRY_PATCH_GRID_H_
