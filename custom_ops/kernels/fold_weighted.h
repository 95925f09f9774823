// Puts a grid of patches back into images, weighted or as a mean.
#ifndef TF_PATCHES_KERNELS_FOLD_WEIGHTED_H_
#define TF_PATCHES_KERNELS_FOLD_WEIGHTED_H_

#include <vector>

#include "geometry/patch_grid.h"
#include "kernels/number_kind.h"
#include "kernels/plan.h"
#include "kernels/weights.h"

namespace tf_patches {

// As PlanFolding, in the same order of additions, with Reduction::kSum or kMean
// and with `weights`, a window if any. A mean is one of real or complex
// numbers. Except for sums without weights, those of 16 bits are made in float.
// The first plan makes images of patches; the one after it, if any, changes the
// images.
std::vector<Plan> PlanWeightedFolding(const PatchGrid& grid, Number number,
                                      Reduction reduction,
                                      const Weights& weights);

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_FOLD_WEIGHTED_H_
