// Puts patches that lie at given positions back into images: the adjoint of
// their extraction, and means and extremes.
#ifndef TF_PATCHES_KERNELS_FOLD_AT_H_
#define TF_PATCHES_KERNELS_FOLD_AT_H_

#include "geometry/placement.h"
#include "kernels/number_kind.h"
#include "kernels/plan.h"
#include "kernels/weights.h"

namespace tf_patches {

// Plans how to fold the patches of `placement` into images, of which every
// dimension is at least 1. `placement` and what `weights` point to outlive the
// plan. Each pixel is reduced over the values that patches hold for it, in the
// order in which they are stored, whatever the threads; a pixel under nothing
// is zero. Sums without weights are rounded to the type at every addition;
// others of 16 bits are made in float. A mean is one of real or complex
// numbers, the largest or smallest number is real and not weighted.
Plan PlanFoldingAt(const Placement& placement, Number number,
                   Reduction reduction, const Weights& weights);

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_FOLD_AT_H_
