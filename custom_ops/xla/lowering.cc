#include "xla/lowering.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "xla/arithmetic.h"
#include "xla/hlo/builder/lib/constants.h"
#include "xla/hlo/builder/lib/loops.h"
#include "xla/hlo/builder/xla_builder.h"
#include "xla/literal.h"
#include "xla/literal_util.h"
#include "xla/places.h"
#include "xla/primitive_util.h"
#include "xla/values.h"
#include "xla/xla_data.pb.h"

namespace tf_patches {
namespace {

using ::xla::PrimitiveType;
using ::xla::XlaBuilder;
using ::xla::XlaOp;

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The axes of a reduced grid, outermost first, less those of a single pixel.
std::vector<Axis> AxesOf(const PatchGrid& grid) {
  const auto is_pixel = [](const Axis& axis) {
    return axis.image == 1 && axis.IsWhole();
  };
  int first = 0;
  while (first < kMostAxes - 1 && is_pixel(grid.axis[first])) ++first;
  return {grid.axis.begin() + first, grid.axis.end()};
}

Shape OfEach(const std::vector<Axis>& axes, int64_t Axis::* number) {
  Shape numbers;
  for (const Axis& axis : axes) numbers.push_back(axis.*number);
  return numbers;
}

// `[batch, ..., depth]`
Shape Whole(const PatchGrid& grid, Shape space) {
  space.insert(space.begin(), grid.batch);
  space.push_back(grid.depth);
  return space;
}

// How many values one turn of the loop adds to each pixel: the more, the less
// often do patches and sums pass through memory, but the longer XLA compiles,
// up to this bound. 16-bit sums must be rounded at every addition, and within
// a turn XLA keeps them in float.
int64_t MostAdditions(PrimitiveType type) {
  return IsShortFloat(type) ? 1 : 16;
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

// Adds up the values of each pixel, in the order of PlanFolding, where
// stretches of pixels, one along each axis, cross.
class FoldLoop {
 public:
  FoldLoop(const PatchGrid& grid, PrimitiveType type, int64_t least_turns,
           const std::vector<Stretch>& stretches, const Places& places)
      : grid_(grid), type_(type), stretches_(stretches), places_(places) {
    for (const Stretch& stretch : stretches) {
      most_.push_back(stretch.most);
      pixels_.push_back(stretch.pixels);
    }
    const int64_t all = Product(most_);
    turns_ =
        std::max(CeilDiv(all, MostAdditions(type)), std::min(all, least_turns));
    additions_ = CeilDiv(all, turns_);
  }

  XlaOp Run(XlaOp values) const {
    XlaBuilder* const builder = values.builder();
    const XlaOp zero = xla::Zero(builder, type_);
    std::vector<XlaOp> state = {xla::Broadcast(zero, Whole(grid_, pixels_)),
                                values};
    for (size_t axis = 0; axis < most_.size(); ++axis) {
      state.push_back(PartsOfAdditions(axis));
    }
    const auto body = [this](XlaOp turn, absl::Span<const XlaOp> state,
                             XlaBuilder*) {
      std::vector<XlaOp> next(state.begin(), state.end());
      next[0] = Turn(turn, state[0], state[1], state.subspan(2));
      return absl::StatusOr<std::vector<XlaOp>>(next);
    };
    const auto end = xla::ForEachIndex(turns_, xla::S64, body, state,
                                       "fold_patches", builder);
    if (!end.ok()) return builder->ReportError(end.status());
    return WithoutNegativeZero(end->front(), type_);
  }

 private:
  // The parts along `axis` of the values of all additions, `[turns * additions,
  // pixels]`: the last axis is the first to go on.
  XlaOp PartsOfAdditions(size_t axis) const {
    const int64_t all = Product(most_);
    const int64_t inner = StepOf(most_, axis);
    const int64_t outer = all / most_[axis] / inner;
    const XlaOp parts = xla::Reshape(
        xla::BroadcastInDim(stretches_[axis].parts,
                            {outer, most_[axis], inner, pixels_[axis]}, {1, 3}),
        {all, pixels_[axis]});
    // Without this, XLA computes some of them again for every pixel.
    return xla::OptimizationBarrier(
        xla::PadInDim(parts, xla::ScalarLike(parts, places_.nowhere()), 0, 0,
                      turns_ * additions_ - all));
  }

  XlaOp Turn(XlaOp turn, XlaOp sums, XlaOp values,
             absl::Span<const XlaOp> parts) const {
    const XlaOp first = turn * additions_;
    std::vector<XlaOp> of_turn;
    for (size_t axis = 0; axis < parts.size(); ++axis) {
      of_turn.push_back(xla::DynamicSlice(parts[axis],
                                          {first, xla::ZerosLike(first)},
                                          {additions_, pixels_[axis]}));
    }
    const auto nth = [&](int64_t n, int64_t axis) {
      const XlaOp part = xla::SliceInDim(of_turn[axis], n, n + 1, 1, 0);
      return xla::BroadcastInDim(xla::Reshape(part, {pixels_[axis]}), pixels_,
                                 {axis});
    };
    const XlaOp zero = xla::Zero(sums.builder(), type_);
    for (int64_t n = 0; n < additions_; ++n) {
      XlaOp places = nth(n, 0);
      for (size_t axis = 1; axis < parts.size(); ++axis) {
        places = places + nth(n, axis);
      }
      sums =
          sums + Fetch(grid_.batch, grid_.depth, values, places, pixels_, zero);
    }
    return sums;
  }

  const PatchGrid grid_;
  const PrimitiveType type_;
  const std::vector<Stretch> stretches_;
  const Places places_;
  Shape most_;    // values of a pixel, along each axis
  Shape pixels_;  // of each stretch
  int64_t turns_;
  int64_t additions_;
};

// As LowerFoldPatches, by loops of at least so many turns.
XlaOp Fold(const PatchGrid& grid, PrimitiveType type, int64_t least_turns,
           XlaOp patches) {
  XlaBuilder* const builder = patches.builder();
  const PatchGrid reduced = grid.Reduced();
  const std::vector<Axis> axes = AxesOf(reduced);
  const Shape counts = OfEach(axes, &Axis::count);
  const Shape taps = OfEach(axes, &Axis::patch);
  const Places places(Product(counts) * Product(taps));
  std::vector<std::vector<Stretch>> stretches;
  for (size_t axis = 0; axis < axes.size(); ++axis) {
    const Steps steps = {StepOf(counts, axis) * Product(taps),
                         StepOf(taps, axis)};
    stretches.push_back(ValuesOfPixels(builder, axes[axis], steps, places));
  }
  const XlaOp values =
      xla::Reshape(patches, {reduced.batch, places.count(), reduced.depth});
  // Where stretches of all axes cross, by loops of their own.
  std::vector<Stretch> crossing;
  const std::function<XlaOp()> fold = [&] {
    const size_t axis = crossing.size();
    if (axis == axes.size()) {
      return FoldLoop(reduced, type, least_turns, crossing, places).Run(values);
    }
    std::vector<XlaOp> images;
    for (const Stretch& stretch : stretches[axis]) {
      crossing.push_back(stretch);
      images.push_back(fold());
      crossing.pop_back();
    }
    return xla::ConcatInDim(builder, images, 1 + axis);
  };
  return xla::Reshape(fold(), grid.image_shape());
}

// The sum of the weights of the taps over each pixel, of `grid.image_shape()`.
XlaOp SumsOfWeights(const PatchGrid& grid, PrimitiveType type, XlaOp window) {
  // For a single image: patches cover all images in the same way.
  PatchGrid single = grid;
  single.batch = 1;
  single.depth = 1;
  const Shape image = grid.image_shape();
  const int64_t axes = grid.axes;
  const XlaOp patches =
      xla::BroadcastInDim(window, single.patches_shape(), {axes + 1});
  // Without this, XLA folds constants while it compiles.
  const XlaOp sums = Fold(single, type, 1, xla::OptimizationBarrier(patches));
  return xla::BroadcastInDim(
      xla::Reshape(sums, Shape(image.begin() + 1, image.end() - 1)), image,
      AxesFrom(1, axes));
}

// The number of taps over each pixel, at least 1, of `grid.image_shape()`: a
// product of those along each axis.
XlaOp CountsOfTaps(const PatchGrid& grid, XlaBuilder* builder) {
  const Shape image = grid.image_shape();
  XlaOp product = xla::Broadcast(xla::ConstantR0<int64_t>(builder, 1), image);
  for (int64_t i = 0; i < grid.axes; ++i) {
    const Axis& axis = grid.axis[kMostAxes - grid.axes + i];
    std::vector<int64_t> counts;
    for (int64_t pixel = 0; pixel < axis.image; ++pixel) {
      counts.push_back(axis.TapsOver(pixel).size());
    }
    // Without this, XLA folds constants as large as the images while it
    // compiles.
    const XlaOp of_axis =
        xla::OptimizationBarrier(xla::ConstantR1<int64_t>(builder, counts));
    product = product * xla::BroadcastInDim(of_axis, image, {1 + i});
  }
  return xla::Max(product, xla::ScalarLike(product, 1));
}

}  // namespace

XlaOp ConstantOf(XlaBuilder* builder, PrimitiveType type,
                 const std::string& bytes) {
  xla::Literal literal = xla::LiteralUtil::Zero(type);
  bytes.copy(static_cast<char*>(literal.untyped_data()), bytes.size());
  return xla::ConstantLiteral(builder, literal);
}

XlaOp LowerExtractPatches(const PatchGrid& grid, PrimitiveType type,
                          const std::string& constant, XlaOp images) {
  const PatchGrid reduced = grid.Reduced();
  const std::vector<Axis> axes = AxesOf(reduced);
  const Shape image = OfEach(axes, &Axis::image);
  Shape taps = OfEach(axes, &Axis::count);
  for (const Axis& axis : axes) taps.push_back(axis.patch);
  const Places pixels(Product(image));
  const auto part = [&](int64_t axis) {
    const int64_t rank = axes.size();
    return xla::BroadcastInDim(PixelsUnderTaps(images.builder(), axes[axis],
                                               StepOf(image, axis), pixels),
                               taps, {axis, axis + rank});
  };
  XlaOp places = part(0);
  for (size_t axis = 1; axis < axes.size(); ++axis) {
    places = places + part(axis);
  }
  const PrimitiveType bits = BitsOf(type);
  const XlaOp values =
      xla::Reshape(xla::BitcastConvertType(images, bits),
                   {reduced.batch, pixels.count(), reduced.depth});
  const XlaOp patches =
      Fetch(reduced.batch, reduced.depth, values, places, taps,
            ConstantOf(images.builder(), bits, constant));
  return xla::BitcastConvertType(xla::Reshape(patches, grid.patches_shape()),
                                 type);
}

XlaOp LowerFoldPatches(const PatchGrid& grid, PrimitiveType type,
                       XlaOp patches) {
  return Fold(grid, type, 1, patches);
}

XlaOp LowerFoldWeightedPatches(const PatchGrid& grid, PrimitiveType type,
                               Reduction reduction,
                               std::optional<XlaOp> weights, XlaOp patches) {
  const bool is_mean = reduction == Reduction::kMean;
  if (!weights && !is_mean) return LowerFoldPatches(grid, type, patches);
  const PrimitiveType wide = WeightedType(type);
  XlaOp values = xla::ConvertElementType(patches, wide);
  XlaOp divisors;
  if (weights) {
    const int64_t pixels = grid.patch_depth() / grid.depth;
    const Shape by_pixel = {grid.patch_count(), pixels, grid.depth};
    const XlaOp window =
        xla::Reshape(xla::ConvertElementType(*weights, wide), {pixels});
    values = xla::Reshape(Weighted(xla::BroadcastInDim(window, by_pixel, {1}),
                                   xla::Reshape(values, by_pixel)),
                          grid.patches_shape());
    if (is_mean) divisors = SumsOfWeights(grid, wide, window);
  } else {
    divisors =
        xla::ConvertElementType(CountsOfTaps(grid, patches.builder()), wide);
  }
  // XLA removes a loop of one turn, and then adds products without rounding
  // them.
  const XlaOp sums = Fold(grid, wide, 2, values);
  return xla::ConvertElementType(
      is_mean ? Quotient(wide, sums, divisors) : sums, type);
}

}  // namespace tf_patches
