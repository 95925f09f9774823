#include "xla/places.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "geometry/patch_grid.h"
#include "xla/arithmetic.h"
#include "xla/hlo/builder/lib/constants.h"
#include "xla/hlo/builder/xla_builder.h"
#include "xla/shape_util.h"
#include "xla/xla_data.pb.h"

namespace tf_patches {

using ::xla::XlaBuilder;
using ::xla::XlaOp;

XlaOp Places::Part(XlaOp exists, XlaOp part) const {
  const XlaOp nowhere = xla::FullLike(part, -count_);
  const bool narrow = count_ <= int64_t{1} << 30;
  return xla::ConvertElementType(xla::Select(exists, part, nowhere),
                                 narrow ? xla::S32 : xla::S64);
}

XlaOp PixelsUnderTaps(XlaBuilder* builder, const Axis& axis, int64_t step,
                      const Places& pixels) {
  const xla::Shape shape =
      xla::ShapeUtil::MakeShape(xla::S64, {axis.count, axis.patch});
  const XlaOp index = xla::Iota(builder, shape, 0);
  const XlaOp tap = xla::Iota(builder, shape, 1);
  const XlaOp pixel = index * axis.stride + tap * axis.rate - axis.pad_before;
  return pixels.Part(xla::And(pixel >= 0, pixel < axis.image), pixel * step);
}

int64_t MostPatchesOver(const Axis& axis) {
  int64_t most = 1;
  for (int64_t pixel = 0; pixel < axis.image; ++pixel) {
    most = std::max(most, axis.Over(pixel).count);
  }
  return most;
}

XlaOp ValuesOfPixels(XlaOp nth, int64_t nths, const Axis& axis,
                     int64_t patch_step, int64_t tap_step,
                     const Places& values) {
  // Of each pixel: its first value, and how many it has.
  std::vector<int64_t> firsts, counts;
  int64_t step = 0;
  for (int64_t pixel = 0; pixel < axis.image; ++pixel) {
    const Cover cover = axis.Over(pixel);
    firsts.push_back(cover.index * patch_step + cover.tap * tap_step);
    counts.push_back(cover.count);
    step = cover.index_step * patch_step - cover.tap_step * tap_step;
  }
  const std::array<int64_t, 2> shape = {nths, axis.image};
  const auto of_pixels = [&](const std::vector<int64_t>& numbers) {
    return xla::BroadcastInDim(xla::ConstantR1<int64_t>(nth.builder(), numbers),
                               shape, {1});
  };
  const XlaOp n = xla::BroadcastInDim(nth, shape, {0});
  return values.Part(xla::Lt(n, of_pixels(counts)),
                     of_pixels(firsts) + n * step);
}

}  // namespace tf_patches
