// Where pixels lie in images and values in patches, as tensors of indices in
// compiled code. Their cost does not depend on the size of patches.
#ifndef TF_PATCHES_XLA_PLACES_H_
#define TF_PATCHES_XLA_PLACES_H_

#include <cstdint>

#include "geometry/patch_grid.h"
#include "xla/hlo/builder/xla_builder.h"

namespace tf_patches {

// The pixels of one image, or the values at one depth of its patches, counted
// in the order they are stored. The place of one is the sum of a part for its
// row and a part for its column, and negative if either lies nowhere.
class Places {
 public:
  explicit Places(int64_t count) : count_(count) {}

  int64_t count() const { return count_; }

  // `part` where it `exists`, else a part that lies nowhere, in the narrowest
  // type that can hold the sum of two.
  xla::XlaOp Part(xla::XlaOp exists, xla::XlaOp part) const;

 private:
  int64_t count_;
};

// Along one axis: the part of the pixel under each tap of each patch, `[count,
// patch]`. One pixel is `step` places from the next.
xla::XlaOp PixelsUnderTaps(xla::XlaBuilder* builder, const Axis& axis,
                           int64_t step, const Places& pixels);

// The most patches that lie over one pixel, along one axis; 1 if none does.
int64_t MostPatchesOver(const Axis& axis);

// Along one axis: the part of each pixel's value in the `nth` patch over it,
// `[nths, image]`, for `nth` a vector of `nths` counts from 0. One patch is
// `patch_step` places from the next, one tap `tap_step`.
xla::XlaOp ValuesOfPixels(xla::XlaOp nth, int64_t nths, const Axis& axis,
                          int64_t patch_step, int64_t tap_step,
                          const Places& values);

}  // namespace tf_patches

#endif  // TF_PATCHES_XLA_PLACES_H_
