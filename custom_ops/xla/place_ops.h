// What compiled code knows of patches that lie at given positions.
#ifndef TF_PATCHES_XLA_PLACE_OPS_H_
#define TF_PATCHES_XLA_PLACE_OPS_H_

#include <optional>

#include "xla/hlo/builder/xla_builder.h"

namespace tf_patches {

// Where patches lie: `[count, axes]` for all images, or of each `[batch, count,
// axes]`.
struct PlaceOps {
  xla::XlaOp positions;
  std::optional<xla::XlaOp> flips;
};

// Not both.
struct WeightOps {
  std::optional<xla::XlaOp> window;
  std::optional<xla::XlaOp> profiles;
};

}  // namespace tf_patches

#endif  // TF_PATCHES_XLA_PLACE_OPS_H_
