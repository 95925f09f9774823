// Copies patches out of images at given positions. Bytes do not change.
#ifndef TF_PATCHES_KERNELS_EXTRACT_AT_H_
#define TF_PATCHES_KERNELS_EXTRACT_AT_H_

#include <cstdint>
#include <string>

#include "geometry/placement.h"
#include "kernels/plan.h"

namespace tf_patches {

// Plans how to extract the patches of `placement`, which outlives the plan,
// from images of elements of `element_bytes`. The constant outside of images is
// `constant`, of as many bytes, or zero if that is empty. Every dimension of
// the patches is at least 1. A unit is a patch.
Plan PlanExtractionAt(const Placement& placement, int64_t element_bytes,
                      const std::string& constant = "");

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_EXTRACT_AT_H_
