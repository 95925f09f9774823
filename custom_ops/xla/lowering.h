// The ops in XLA's own operations, for platforms that kernels/ do not run on.
#ifndef TF_PATCHES_XLA_LOWERING_H_
#define TF_PATCHES_XLA_LOWERING_H_

#include <optional>
#include <string>

#include "geometry/patch_grid.h"
#include "kernels/weights.h"
#include "xla/hlo/builder/xla_builder.h"
#include "xla/xla_data.pb.h"

namespace tf_patches {

// An element of `type` of these `bytes`, or zero if there are none.
xla::XlaOp ConstantOf(xla::XlaBuilder* builder, xla::PrimitiveType type,
                      const std::string& bytes);

// As kernels/extract.h: every bit as it is. `images` are `grid.image_shape()`
// of `type`, and not empty.
xla::XlaOp LowerExtractPatches(const PatchGrid& grid, xla::PrimitiveType type,
                               const std::string& constant, xla::XlaOp images);

// As kernels/fold.h: in the same order, so to the same bits. `patches` are
// `grid.patches_shape()` of `type`, and not empty.
xla::XlaOp LowerFoldPatches(const PatchGrid& grid, xla::PrimitiveType type,
                            xla::XlaOp patches);

// As kernels/fold_weighted.h, in the same order, so to the same bits, except
// of complex products, whose parts XLA rounds once. `weights` are a window of
// `type`, if there are any.
xla::XlaOp LowerFoldWeightedPatches(const PatchGrid& grid,
                                    xla::PrimitiveType type,
                                    Reduction reduction,
                                    std::optional<xla::XlaOp> weights,
                                    xla::XlaOp patches);

}  // namespace tf_patches

#endif  // TF_PATCHES_XLA_LOWERING_H_
