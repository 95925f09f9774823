#include "xla/placed_lowering.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "xla/arithmetic.h"
#include "xla/hlo/builder/lib/constants.h"
#include "xla/hlo/builder/xla_builder.h"
#include "xla/hlo/builder/xla_computation.h"
#include "xla/lowering.h"
#include "xla/places.h"
#include "xla/shape.h"
#include "xla/shape_util.h"
#include "xla/values.h"
#include "xla/xla_data.pb.h"

namespace tf_patches {
namespace {

using ::xla::PrimitiveType;
using ::xla::XlaBuilder;
using ::xla::XlaOp;

bool IsOfEachImage(XlaOp places) {
  const absl::StatusOr<xla::Shape> shape = places.builder()->GetShape(places);
  return shape.ok() && shape->dimensions().size() == 3;
}

// The pixels that all taps see. Where patches of each image lie elsewhere, all
// images are a single one.
class Taps {
 public:
  Taps(const Placement& placement, const PlaceOps& places)
      : placement_(placement),
        differ_(IsOfEachImage(places.positions) ||
                (places.flips && IsOfEachImage(*places.flips))),
        pixels_((differ_ ? placement.batch : 1) * PixelsOf(placement)) {
    shape_ = Lead();
    for (const Axis& axis : Axes()) shape_.push_back(axis.patch);
    places_ = Find(places);
  }

  int64_t images() const { return differ_ ? 1 : placement_.batch; }
  int64_t pixels() const { return pixels_.count(); }  // of each
  int64_t depth() const { return placement_.depth; }

  // The pixel of each tap, `[(batch,) count, *sizes]`; negative if it sees
  // none.
  XlaOp places() const { return places_; }
  const Shape& shape() const { return shape_; }

  // `[images, pixels, depth]`
  Shape Values() const { return {images(), pixels(), depth()}; }

  // `[images, (batch,) count, *sizes, depth]`
  Shape Updates(int64_t images, int64_t depth) const {
    Shape updates = shape_;
    updates.insert(updates.begin(), images);
    updates.push_back(depth);
    return updates;
  }

 private:
  static int64_t PixelsOf(const Placement& placement) {
    return placement.axis[0].image * placement.axis[1].image *
           placement.axis[2].image;
  }

  // Those that there are.
  std::vector<Axis> Axes() const {
    return {placement_.axis.end() - placement_.axes, placement_.axis.end()};
  }

  // `[(batch,) count]`
  Shape Lead() const {
    if (differ_) return {placement_.batch, placement_.count};
    return {placement_.count};
  }

  // Of `places`, what is said of axis `i`.
  XlaOp OfAxis(XlaOp places, int64_t i) const {
    const int64_t first = differ_ && !IsOfEachImage(places) ? 1 : 0;
    const int64_t last = Lead().size() - first;
    const Shape lead = Lead();
    const Shape own(lead.begin() + first, lead.end());
    return xla::BroadcastInDim(
        xla::Reshape(xla::SliceInDim(places, i, i + 1, 1, last), own), lead,
        AxesFrom(first, own.size()));
  }

  XlaOp Find(const PlaceOps& places) const {
    const Shape lead = Lead();
    const std::vector<Axis> axes = Axes();
    Shape image;
    for (const Axis& axis : axes) image.push_back(axis.image);
    XlaOp found = FirstPixels(places.positions.builder());
    for (size_t i = 0; i < axes.size(); ++i) {
      const std::optional<XlaOp> flips =
          places.flips ? std::optional(OfAxis(*places.flips, i)) : std::nullopt;
      const XlaOp part =
          PixelsUnderPlacedTaps(axes[i], lead, OfAxis(places.positions, i),
                                flips, StepOf(image, i), pixels_);
      std::vector<int64_t> along = AxesFrom(0, lead.size());
      along.push_back(lead.size() + i);
      found = found + xla::BroadcastInDim(part, shape_, along);
    }
    return found;
  }

  // Of the image of each tap.
  XlaOp FirstPixels(XlaBuilder* builder) const {
    const xla::Shape shape = xla::ShapeUtil::MakeShape(pixels_.type(), shape_);
    if (!differ_) return xla::Zeros(builder, shape);
    return xla::Iota(builder, shape, 0) * PixelsOf(placement_);
  }

  const Placement& placement_;
  const bool differ_;
  const Places pixels_;
  Shape shape_;
  XlaOp places_;
};

using Combine = std::function<XlaOp(XlaOp old, XlaOp update)>;

// Combines `updates`, `[images, *shape of taps, depth]`, into `values`,
// `[images, pixels, depth]` of `type`, each where its tap is.
XlaOp ScatterTo(const Taps& taps, PrimitiveType type, XlaOp values,
                XlaOp updates, const Combine& combine) {
  const std::unique_ptr<XlaBuilder> combiner =
      values.builder()->CreateSubBuilder("combine");
  const xla::Shape scalar = xla::ShapeUtil::MakeScalarShape(type);
  combine(xla::Parameter(combiner.get(), 0, scalar, "old"),
          xla::Parameter(combiner.get(), 1, scalar, "update"));
  const absl::StatusOr<xla::XlaComputation> computation = combiner->Build();
  if (!computation.ok()) {
    return values.builder()->ReportError(computation.status());
  }
  const int64_t rank = taps.shape().size();
  xla::ScatterDimensionNumbers dimensions;
  dimensions.add_update_window_dims(0);
  dimensions.add_update_window_dims(rank + 1);
  dimensions.add_inserted_window_dims(1);
  dimensions.add_scatter_dims_to_operand_dims(1);
  dimensions.set_index_vector_dim(rank);
  // What has a negative index is left out.
  return xla::Scatter(values, taps.places(), updates, *computation, dimensions);
}

XlaOp Sum(const Taps& taps, PrimitiveType type, const Shape& shape,
          XlaOp updates) {
  return ScatterTo(
      taps, type, xla::Broadcast(xla::Zero(updates.builder(), type), shape),
      updates, [](XlaOp old, XlaOp update) { return old + update; });
}

// Whether each pixel is under a tap, `[1, pixels, 1]`.
XlaOp IsCovered(const Taps& taps, XlaBuilder* builder) {
  const auto all = [&](bool value, const Shape& shape) {
    return xla::Broadcast(xla::ConstantR0<bool>(builder, value), shape);
  };
  return ScatterTo(taps, xla::PRED, all(false, {1, taps.pixels(), 1}),
                   all(true, taps.Updates(1, 1)), [](XlaOp old, XlaOp update) {
                     return xla::Or(old, update);
                   });
}

// `values`, `[1, pixels, 1]`, for all images and depths.
XlaOp ForAll(const Taps& taps, XlaOp values) {
  return xla::BroadcastInDim(xla::Reshape(values, {taps.pixels()}),
                             taps.Values(), {1});
}

// As kernels/line_most.h.
XlaOp Most(const Taps& taps, PrimitiveType type, bool is_max, XlaOp updates) {
  XlaBuilder* const builder = updates.builder();
  const XlaOp least =
      is_max ? xla::MinValue(builder, type) : xla::MaxValue(builder, type);
  const XlaOp most =
      ScatterTo(taps, type, xla::Broadcast(least, taps.Values()), updates,
                [is_max](XlaOp old, XlaOp update) {
                  const XlaOp wins = xla::Or(
                      xla::Ne(update, update),
                      is_max ? xla::Gt(update, old) : xla::Lt(update, old));
                  return xla::Select(wins, update, old);
                });
  return xla::Select(ForAll(taps, IsCovered(taps, builder)), most,
                     xla::ZerosLike(most));
}

// The weights of values, `[1, *shape of taps, 1]`: the factors of the axes are
// multiplied in their order.
XlaOp WeightsOf(const Placement& placement, const Taps& taps,
                PrimitiveType type, const WeightOps& weights) {
  const Shape shape = taps.Updates(1, 1);
  const int64_t first = shape.size() - 1 - placement.axes;  // axis of space
  if (weights.window) {
    return xla::BroadcastInDim(xla::ConvertElementType(*weights.window, type),
                               shape, AxesFrom(first, placement.axes));
  }
  const XlaOp profiles = xla::ConvertElementType(*weights.profiles, type);
  XlaOp product;
  for (int64_t axis = first, begin = 0; axis < first + placement.axes; ++axis) {
    const int64_t end = begin + shape[axis];
    // One row for each patch, or for all.
    const XlaOp factors = xla::SliceInDim(profiles, begin, end, 1, 1);
    const XlaOp of_axis =
        xla::BroadcastInDim(factors, shape, {first - 1, axis});
    product = begin == 0 ? of_axis : product * of_axis;
    begin = end;
  }
  return product;
}

XlaOp WeightedSum(const Placement& placement, const Taps& taps,
                  PrimitiveType type, bool is_mean, XlaOp values,
                  const WeightOps& weights) {
  XlaOp counts =
      xla::Broadcast(xla::One(values.builder(), type), taps.Updates(1, 1));
  if (weights.window || weights.profiles) {
    counts = WeightsOf(placement, taps, type, weights);
    const Shape all = taps.Updates(taps.images(), taps.depth());
    values = Weighted(xla::BroadcastInDim(counts, all, AxesFrom(0, all.size())),
                      values);
  }
  const XlaOp sums = Sum(taps, type, taps.Values(), values);
  if (!is_mean) return sums;
  return Quotient(type, sums,
                  ForAll(taps, Sum(taps, type, {1, taps.pixels(), 1}, counts)));
}

}  // namespace

XlaOp LowerExtractPatchesAt(const Placement& placement, PrimitiveType type,
                            const std::string& constant, XlaOp images,
                            const PlaceOps& places) {
  const Taps taps(placement, places);
  const PrimitiveType bits = BitsOf(type);
  const XlaOp patches =
      Fetch(taps.images(), taps.depth(),
            xla::Reshape(xla::BitcastConvertType(images, bits), taps.Values()),
            taps.places(), taps.shape(),
            ConstantOf(images.builder(), bits, constant));
  return xla::BitcastConvertType(
      xla::Reshape(patches, placement.patches_shape()), type);
}

XlaOp LowerFoldPatchesAt(const Placement& placement, PrimitiveType type,
                         Reduction reduction, XlaOp patches,
                         const PlaceOps& places, const WeightOps& weights) {
  const Taps taps(placement, places);
  const XlaOp values =
      xla::Reshape(patches, taps.Updates(taps.images(), taps.depth()));
  XlaOp images;
  if (IsExtreme(reduction)) {
    images = Most(taps, type, reduction == Reduction::kMax, values);
  } else if (reduction == Reduction::kSum && !weights.window &&
             !weights.profiles) {
    images = Sum(taps, type, taps.Values(), values);
  } else {
    const PrimitiveType wide = WeightedType(type);
    images = xla::ConvertElementType(
        WeightedSum(placement, taps, wide, reduction == Reduction::kMean,
                    xla::ConvertElementType(values, wide), weights),
        type);
  }
  return xla::Reshape(images, placement.image_shape());
}

}  // namespace tf_patches
