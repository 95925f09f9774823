// Copies patches out of images. Bytes move unchanged, whatever they mean.
#ifndef TF_PATCHES_KERNELS_EXTRACT_H_
#define TF_PATCHES_KERNELS_EXTRACT_H_

#include <cstddef>
#include <cstdint>

#include "geometry/patch_grid.h"

namespace tf_patches {

// Writes the patches `which` of `grid`, numbered in the order they are stored
// (batch, then rows, then cols), and not a byte outside of them, so that
// threads may share one result. `images` and `patches` are the whole tensors,
// of elements of `element_bytes`; every dimension of both is at least 1.
void ExtractPatches(const PatchGrid& grid, size_t element_bytes,
                    const void* images, Range which, void* patches);

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_EXTRACT_H_
