// Sums patches back into images: the adjoint of extraction.
#ifndef TF_PATCHES_KERNELS_FOLD_H_
#define TF_PATCHES_KERNELS_FOLD_H_

#include <cstdint>
#include <functional>

#include "geometry/patch_grid.h"

namespace tf_patches {

// The numbers that can be summed. Integers wrap around, so that one kernel
// serves those with a sign and those without.
enum class Number {
  kBFloat16,
  kHalf,
  kFloat,
  kDouble,
  kComplexFloat,
  kComplexDouble,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
};

// Writes the image rows `which`, numbered batch by batch, and nothing else.
// Each pixel is the sum, from +0 and in the order in which the patches are
// stored, of the values that all the patches over it hold for it, rounded to
// the type at every addition: the order of TensorFlow's own gradient, whatever
// the threads. `patches` and `images` are the whole tensors.
using Folding =
    std::function<void(const void* patches, Range which, void* images)>;

// Plans once, for all threads, how to fold the patches of `grid`. Every
// dimension of the images is at least 1.
Folding PlanFolding(const PatchGrid& grid, Number number);

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_FOLD_H_
