// XLA operations that call kernels/ on a CPU.
#ifndef TF_PATCHES_XLA_NATIVE_CALL_H_
#define TF_PATCHES_XLA_NATIVE_CALL_H_

#include <optional>
#include <string>

#include "geometry/patch_grid.h"
#include "geometry/patch_spec.h"
#include "geometry/placement.h"
#include "kernels/weights.h"
#include "xla/hlo/builder/xla_builder.h"
#include "xla/place_ops.h"
#include "xla/xla_data.pb.h"

namespace tf_patches {

// `grid` is that of `spec`; the images and the patches hold elements of `type`,
// and neither is empty. `constant` is as for PlanExtraction.
xla::XlaOp CallExtractPatches(const PatchSpec& spec, const PatchGrid& grid,
                              xla::PrimitiveType type,
                              const std::string& constant, xla::XlaOp images);

xla::XlaOp CallFoldPatches(const PatchSpec& spec, const PatchGrid& grid,
                           xla::PrimitiveType type, xla::XlaOp patches);

// `weights` are a window, if there are any.
xla::XlaOp CallFoldWeightedPatches(const PatchSpec& spec, const PatchGrid& grid,
                                   xla::PrimitiveType type, Reduction reduction,
                                   std::optional<xla::XlaOp> weights,
                                   xla::XlaOp patches);

// `placement` has no places. Positions that it does not admit fail the call.
xla::XlaOp CallExtractPatchesAt(const Placement& placement,
                                xla::PrimitiveType type,
                                const std::string& constant, xla::XlaOp images,
                                const PlaceOps& places);

xla::XlaOp CallFoldPatchesAt(const Placement& placement,
                             xla::PrimitiveType type, Reduction reduction,
                             xla::XlaOp patches, const PlaceOps& places,
                             const WeightOps& weights);

}  // namespace tf_patches

#endif  // TF_PATCHES_XLA_NATIVE_CALL_H_
