// Copies patches out of images. Bytes move unchanged, whatever they mean.
#ifndef TF_PATCHES_KERNELS_EXTRACT_H_
#define TF_PATCHES_KERNELS_EXTRACT_H_

#include <cstddef>
#include <cstdint>
#include <functional>

#include "geometry/patch_grid.h"

namespace tf_patches {

// Writes the patches `which`, numbered in the order they are stored (batch,
// then rows, then cols), and not a byte outside of them, so that threads may
// share one result. `images` and `patches` are the whole tensors.
using Extraction =
    std::function<void(const void* images, Range which, void* patches)>;

// Plans once, for all threads, how to extract the patches of `grid` from images
// of elements of `element_bytes`. Every dimension of images and patches is at
// least 1.
Extraction PlanExtraction(const PatchGrid& grid, size_t element_bytes);

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_EXTRACT_H_
