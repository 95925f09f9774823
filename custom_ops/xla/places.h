// Where pixels lie in images and values in patches, as tensors of indices in
// compiled code. How many operations that takes does not depend on the size of
// patches.
#ifndef TF_PATCHES_XLA_PLACES_H_
#define TF_PATCHES_XLA_PLACES_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "geometry/patch_grid.h"
#include "xla/hlo/builder/xla_builder.h"
#include "xla/xla_data.pb.h"

namespace tf_patches {

// Indices of the pixels of an image, or of the values of its patches at one
// depth, in the order in which they are stored. An index is the sum of a part
// for each axis. It is negative if the pixel or value is outside along any
// axis.
class Places {
 public:
  explicit Places(int64_t count) : count_(count) {}

  int64_t count() const { return count_; }
  int64_t nowhere() const { return -count_; }

  // Of a part: the narrowest that can hold the sum of all axes.
  xla::PrimitiveType type() const;

 private:
  int64_t count_;
};

// Along one axis: the part of the pixel that is seen by each tap of each patch,
// `[count, patch]`. One pixel is `step` places from the next.
xla::XlaOp PixelsUnderTaps(xla::XlaBuilder* builder, const Axis& axis,
                           int64_t step, const Places& pixels);

// As PixelsUnderTaps, of patches of which only the run knows where they lie: at
// `positions`, of S32 or S64, and backwards where `flips` are true, which are
// both of shape `lead`. Returns `[*lead, patch]`. Nothing overflows, wherever
// patches lie; those beyond what Placement admits show what lies there all the
// same, as compiled code cannot refuse them.
xla::XlaOp PixelsUnderPlacedTaps(const Axis& axis, const Shape& lead,
                                 xla::XlaOp positions,
                                 std::optional<xla::XlaOp> flips, int64_t step,
                                 const Places& pixels);

// The distance in places from a patch to the next along an axis, and from a tap
// to the next.
struct Steps {
  int64_t patch;
  int64_t tap;
};

// Neighbours along one axis: the parts of the values that are added to each
// pixel, in this order, `[most, pixels]`.
struct Stretch {
  int64_t most;
  int64_t pixels;
  xla::XlaOp parts;
};

// The pixels of one axis. They are a single stretch, except where a border
// shows the first or the last so often that all others would wait for them.
std::vector<Stretch> ValuesOfPixels(xla::XlaBuilder* builder, const Axis& axis,
                                    const Steps& steps, const Places& values);

}  // namespace tf_patches

#endif  // TF_PATCHES_XLA_PLACES_H_
