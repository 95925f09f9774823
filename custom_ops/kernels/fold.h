// Sums patches back into images: the adjoint of extraction.
#ifndef TF_PATCHES_KERNELS_FOLD_H_
#define TF_PATCHES_KERNELS_FOLD_H_

#include "geometry/patch_grid.h"
#include "kernels/number_kind.h"
#include "kernels/plan.h"

namespace tf_patches {

// Plans how to fold the patches of `grid` into images, of which every dimension
// is at least 1. A unit is a part of a row of an image. Each pixel is the sum,
// from +0, of the values that patches hold for it, rounded to the type at every
// addition, whatever the threads. They are added axis by axis: for each patch
// along the planes, for each of its taps, for each patch along the rows, and so
// on. So are those that patches beyond a border saw there. Without borders this
// is the order in which patches are stored, that of TensorFlow's own gradient.
Plan PlanFolding(const PatchGrid& grid, Number number);

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_FOLD_H_
