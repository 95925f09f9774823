// The ops whose patches lie at given positions in XLA's own operations, for
// platforms that kernels/ do not run on.
#ifndef TF_PATCHES_XLA_PLACED_LOWERING_H_
#define TF_PATCHES_XLA_PLACED_LOWERING_H_

#include <string>

#include "geometry/placement.h"
#include "kernels/weights.h"
#include "xla/hlo/builder/xla_builder.h"
#include "xla/place_ops.h"
#include "xla/xla_data.pb.h"

namespace tf_patches {

// As kernels/extract_at.h: every bit as it is. `images` are
// `placement.image_shape()` of `type`, and neither they nor the patches are
// empty. `placement` has no places.
xla::XlaOp LowerExtractPatchesAt(const Placement& placement,
                                 xla::PrimitiveType type,
                                 const std::string& constant, xla::XlaOp images,
                                 const PlaceOps& places);

// As kernels/fold_at.h. The values of a pixel are reduced by scatters: one by
// one in the order in which they are stored on a CPU, so to the same bits,
// except of complex products. A GPU takes them in any order, and so rounds sums
// in any, unless XLA is told to be deterministic.
xla::XlaOp LowerFoldPatchesAt(const Placement& placement,
                              xla::PrimitiveType type, Reduction reduction,
                              xla::XlaOp patches, const PlaceOps& places,
                              const WeightOps& weights);

}  // namespace tf_patches

#endif  // TF_PATCHES_XLA_PLACED_LOWERING_H_
