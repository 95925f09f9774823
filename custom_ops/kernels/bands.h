// Pixels of a line whose sums have the same form.
#ifndef TF_PATCHES_KERNELS_BANDS_H_
#define TF_PATCHES_KERNELS_BANDS_H_

#include <cstdint>
#include <vector>

#include "geometry/axis.h"

namespace tf_patches {

// `repeats` runs of `pixels` adjacent pixels, a stride apart. The pixel `i` of
// run `n` is seen by tap `tap + i` of patch `index + n`, for each of `taps`.
struct Band {
  int64_t col;
  int64_t pixels;
  int64_t repeats;
  std::vector<Tap> taps;
};

// The bands of the pixels `cols` of an axis, from left to right.
std::vector<Band> FindBands(const Axis& axis, Range cols);

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_BANDS_H_
