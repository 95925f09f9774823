// A line of a patch, and where it meets a part of a line of an image.
#ifndef TF_PATCHES_KERNELS_PATCH_LINE_H_
#define TF_PATCHES_KERNELS_PATCH_LINE_H_

#include <cstdint>

#include "geometry/axis.h"
#include "kernels/weights.h"

namespace tf_patches {

// A line of patch `index` of `cols`, stored backwards or not.
template <typename T>
struct PatchLine {
  const T* values;
  LineWeights<T> weights;
  const Axis& cols;
  int64_t index;
  bool is_flipped;
};

// Pixels of a patch's line that are `step` apart in the patch, and `rate` apart
// in the image.
struct Pixels {
  int64_t count;
  int64_t stored;  // the first
  int64_t step;
  int64_t pixel;  // under the first, counted from the block's first
  int64_t rate;

  bool are_side_by_side() const { return step == 1 && rate == 1; }
};

// Calls `use` with the Pixels of `line` that lie on the pixels `block`, or are
// shown from there, in the order in which they are stored.
template <typename T, typename Use>
void ForEachPixels(const PatchLine<T>& line, Range block, const Use& use) {
  const Axis& cols = line.cols;
  const int64_t last = cols.patch - 1;
  const auto use_inside = [&] {
    const Range taps = cols.TapsOn(line.index, block);
    if (taps.empty()) return;
    const int64_t pixel = cols.Pixel(line.index, taps.begin) - block.begin;
    use(line.is_flipped
            ? Pixels{taps.size(), last - taps.begin, -1, pixel, cols.rate}
            : Pixels{taps.size(), taps.begin, 1, pixel, cols.rate});
  };
  if (cols.border == Border::kConstant) return use_inside();
  const Range inside = cols.TapsInside(line.index);
  if (inside.size() == cols.patch) return use_inside();
  const auto use_outside = [&](Range taps) {
    for (int64_t i = 0; i < taps.size(); ++i) {
      const int64_t tap = line.is_flipped ? taps.end - 1 - i : taps.begin + i;
      const int64_t source = cols.Source(cols.Pixel(line.index, tap));
      if (!block.Holds(source)) continue;
      const int64_t stored = line.is_flipped ? last - tap : tap;
      use(Pixels{1, stored, 1, source - block.begin, 1});
    }
  };
  const Range before = {0, inside.begin};
  const Range after = {inside.end, cols.patch};
  use_outside(line.is_flipped ? after : before);
  use_inside();
  use_outside(line.is_flipped ? before : after);
}

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_PATCH_LINE_H_
