#include "xla/lowering.h"

#include <array>
#include <cstdint>
#include <numeric>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "xla/arithmetic.h"
#include "xla/hlo/builder/lib/constants.h"
#include "xla/hlo/builder/lib/loops.h"
#include "xla/hlo/builder/xla_builder.h"
#include "xla/places.h"
#include "xla/primitive_util.h"
#include "xla/xla_data.pb.h"

namespace tf_patches {
namespace {

using ::xla::PrimitiveType;
using ::xla::XlaBuilder;
using ::xla::XlaOp;

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// `values[:, places, :]`, zero for what lies nowhere. `values` are `[batch, all
// places, depth]` of `type`, `places` of `shape`.
XlaOp Fetch(XlaOp values, PrimitiveType type, int64_t batch, int64_t depth,
            XlaOp places, absl::Span<const int64_t> shape) {
  const int64_t rank = shape.size();
  xla::GatherDimensionNumbers dimensions;
  dimensions.add_offset_dims(0);
  dimensions.add_offset_dims(rank + 1);
  dimensions.add_collapsed_slice_dims(1);
  dimensions.add_start_index_map(1);
  dimensions.set_index_vector_dim(rank);
  // A negative index fetches what is at 0.
  const XlaOp fetched =
      xla::Gather(values, places, dimensions, {batch, 1, depth});

  std::vector<int64_t> all = {batch};
  all.insert(all.end(), shape.begin(), shape.end());
  all.push_back(depth);
  std::vector<int64_t> axes(rank);
  std::iota(axes.begin(), axes.end(), 1);
  return xla::Select(xla::BroadcastInDim(places >= 0, all, axes), fetched,
                     xla::Broadcast(xla::Zero(values.builder(), type), all));
}

// An integer of as many bits: nothing rounds it, or makes a NaN quiet.
PrimitiveType BitsOf(PrimitiveType type) {
  if (!xla::primitive_util::IsFloatingPointType(type)) return type;
  return xla::primitive_util::UnsignedIntegralTypeForBitWidth(
      xla::primitive_util::BitWidth(type));
}

// How many values one turn of the loop adds to each pixel: the more, the less
// often do patches and sums pass through memory, but the longer XLA compiles,
// up to this bound. 16-bit sums must be rounded at every addition, and within
// a turn XLA keeps them in float.
int64_t MostAdditions(PrimitiveType type) {
  return xla::primitive_util::IsFloatingPointType(type) &&
                 xla::primitive_util::BitWidth(type) == 16
             ? 1
             : 16;
}

// A sum that begins with +0 is never -0, but XLA takes 0 + x for x.
XlaOp WithoutNegativeZero(XlaOp sum, PrimitiveType type) {
  if (xla::primitive_util::IsComplexType(type)) {
    const PrimitiveType part = xla::primitive_util::ComplexComponentType(type);
    return xla::Complex(WithoutNegativeZero(xla::Real(sum), part),
                        WithoutNegativeZero(xla::Imag(sum), part));
  }
  if (!xla::primitive_util::IsFloatingPointType(type)) return sum;
  return xla::Select(xla::Eq(sum, xla::ZerosLike(sum)), xla::Abs(sum), sum);
}

// Adds up the values of each pixel, in the order of the patches over it.
class FoldLoop {
 public:
  FoldLoop(const PatchGrid& grid, PrimitiveType type)
      : grid_(grid),
        type_(type),
        patch_(grid.rows.patch * grid.cols.patch),
        values_(grid.rows.count * grid.cols.count * patch_),
        over_row_(MostPatchesOver(grid.rows)),
        over_col_(MostPatchesOver(grid.cols)),
        turns_(CeilDiv(over_row_ * over_col_, MostAdditions(type))),
        additions_(CeilDiv(over_row_ * over_col_, turns_)) {}

  XlaOp Run(XlaOp patches) const {
    XlaBuilder* const builder = patches.builder();
    const int64_t nths = turns_ * additions_;
    const XlaOp nth = xla::Iota(builder, xla::S64, nths);
    const XlaOp rows =
        ValuesOfPixels(nth / over_col_, nths, grid_.rows,
                       grid_.cols.count * patch_, grid_.cols.patch, values_);
    const XlaOp cols =
        ValuesOfPixels(nth % over_col_, nths, grid_.cols, patch_, 1, values_);
    const XlaOp values =
        xla::Reshape(patches, {grid_.batch, values_.count(), grid_.depth});
    const XlaOp zeros =
        xla::Broadcast(xla::Zero(builder, type_), grid_.image_shape());
    const auto body = [this](XlaOp turn, absl::Span<const XlaOp> state,
                             XlaBuilder*) {
      std::vector<XlaOp> next(state.begin(), state.end());
      next[0] = Turn(turn, state[0], state[1], state[2], state[3]);
      return absl::StatusOr<std::vector<XlaOp>>(next);
    };
    const auto state =
        xla::ForEachIndex(turns_, xla::S64, body, {zeros, values, rows, cols},
                          "fold_patches", builder);
    if (!state.ok()) return builder->ReportError(state.status());
    return WithoutNegativeZero(state->front(), type_);
  }

 private:
  XlaOp Turn(XlaOp turn, XlaOp sums, XlaOp values, XlaOp rows,
             XlaOp cols) const {
    const std::array<int64_t, 2> image = {grid_.rows.image, grid_.cols.image};
    const XlaOp first = turn * additions_;
    const auto of_turn = [&](XlaOp parts, int64_t axis) {
      return xla::DynamicSlice(parts, {first, xla::ZerosLike(first)},
                               {additions_, image[axis]});
    };
    const auto nth = [&](int64_t n, XlaOp parts, int64_t axis) {
      const XlaOp part = xla::SliceInDim(parts, n, n + 1, 1, 0);
      return xla::BroadcastInDim(xla::Reshape(part, {image[axis]}), image,
                                 {axis});
    };
    rows = of_turn(rows, 0);
    cols = of_turn(cols, 1);
    for (int64_t n = 0; n < additions_; ++n) {
      const XlaOp places = nth(n, rows, 0) + nth(n, cols, 1);
      sums =
          sums + Fetch(values, type_, grid_.batch, grid_.depth, places, image);
    }
    return sums;
  }

  const PatchGrid grid_;
  const PrimitiveType type_;
  const int64_t patch_;
  const Places values_;
  const int64_t over_row_;
  const int64_t over_col_;
  const int64_t turns_;
  const int64_t additions_;
};

}  // namespace

XlaOp LowerExtractPatches(const PatchGrid& grid, PrimitiveType type,
                          XlaOp images) {
  const Axis& rows = grid.rows;
  const Axis& cols = grid.cols;
  const Places pixels(rows.image * cols.image);
  const std::array<int64_t, 4> taps = {rows.count, cols.count, rows.patch,
                                       cols.patch};
  const auto parts = [&](const Axis& axis, int64_t step, int64_t first) {
    return xla::BroadcastInDim(
        PixelsUnderTaps(images.builder(), axis, step, pixels), taps,
        {first, first + 2});
  };
  const PrimitiveType bits = BitsOf(type);
  const XlaOp values = xla::Reshape(xla::BitcastConvertType(images, bits),
                                    {grid.batch, pixels.count(), grid.depth});
  const XlaOp patches =
      Fetch(values, bits, grid.batch, grid.depth,
            parts(rows, cols.image, 0) + parts(cols, 1, 1), taps);
  return xla::BitcastConvertType(xla::Reshape(patches, grid.patches_shape()),
                                 type);
}

XlaOp LowerFoldPatches(const PatchGrid& grid, PrimitiveType type,
                       XlaOp patches) {
  return FoldLoop(grid, type).Run(patches);
}

}  // namespace tf_patches
