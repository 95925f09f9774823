#include "xla/places.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "geometry/patch_grid.h"
#include "geometry/patch_spec.h"
#include "xla/arithmetic.h"
#include "xla/array2d.h"
#include "xla/hlo/builder/lib/constants.h"
#include "xla/hlo/builder/xla_builder.h"
#include "xla/shape_util.h"
#include "xla/values.h"
#include "xla/xla_data.pb.h"

namespace tf_patches {
namespace {

using ::xla::XlaBuilder;
using ::xla::XlaOp;

// XLA makes several copies of the constants in a function.
constexpr int64_t kMostListed = 1 << 24;

xla::PrimitiveType TypeFor(int64_t most) {
  return most <= kInt32Max ? xla::S32 : xla::S64;
}

// The number of pixels after which the pixels that are shown outside repeat.
int64_t Period(const Axis& axis) {
  switch (axis.border) {
    case Border::kSymmetric:
      return 2 * axis.image;
    case Border::kReflect:
      return std::max<int64_t>(1, 2 * (axis.image - 1));
    default:
      return axis.image;
  }
}

bool ShowsPixelsOutside(const Axis& axis) {
  const Range covered = axis.Covered();
  return axis.border != Border::kConstant &&
         (covered.begin < 0 || covered.end > axis.image);
}

// Like Axis::Source, but the constant stays outside. No pixel lies more than
// `before` pixels before the image.
XlaOp SourceOutside(const Axis& axis, XlaOp pixel, int64_t before) {
  const int64_t last = axis.image - 1;
  const auto repeat = [&](int64_t period) {
    // From 0 up: a negative number leaves a negative remainder.
    const int64_t periods = before / period + 1;
    return (pixel + periods * period) % period;
  };
  const auto mirror = [](XlaOp at, int64_t sum) {
    return xla::Min(at, xla::ScalarLike(at, sum) - at);
  };
  switch (axis.border) {
    case Border::kConstant:
      break;
    case Border::kEdge:
      return xla::Clamp(xla::ScalarLike(pixel, 0), pixel,
                        xla::ScalarLike(pixel, last));
    case Border::kWrap:
      return repeat(axis.image);
    case Border::kSymmetric:
      return mirror(repeat(Period(axis)), 2 * last + 1);
    case Border::kReflect:
      return mirror(repeat(Period(axis)), 2 * last);
  }
  return pixel;
}

// The part of `pixel`, or `pixels.nowhere()` if it is outside.
XlaOp PartOfPixel(const Axis& axis, XlaOp pixel, int64_t step,
                  const Places& pixels) {
  const XlaOp exists = xla::And(pixel >= 0, pixel < axis.image);
  const XlaOp part = xla::ConvertElementType(pixel, pixels.type()) * step;
  return xla::Select(exists, part, xla::FullLike(part, pixels.nowhere()));
}

// `positions` near the image, from where its border shows the same: any integer
// has a place, even if what lies beyond it could not be counted.
XlaOp Near(const Axis& axis, XlaOp positions) {
  if (axis.border == Border::kConstant || axis.border == Border::kEdge) {
    return xla::Clamp(xla::ScalarLike(positions, -axis.EffectiveSize()),
                      positions, xla::ScalarLike(positions, axis.image));
  }
  const int64_t period = Period(axis);
  // A negative number leaves a negative remainder.
  return (positions % period + period) % period;
}

// Pixels that are shown only at their own place.
Range PixelsSeenOnce(const Axis& axis) {
  if (!ShowsPixelsOutside(axis)) return {0, axis.image};
  const Range once =
      axis.border == Border::kEdge ? Range{1, axis.image - 1} : axis.Even();
  return once.empty() ? Range{0, 0} : once;
}

// Of each pixel, the parts of its values.
using Lists = std::vector<std::vector<int64_t>>;

// Finds the values of pixels along one axis.
class ValueFinder {
 public:
  ValueFinder(XlaBuilder* builder, const Axis& axis, const Steps& steps,
              const Places& values)
      : builder_(builder), axis_(axis), steps_(steps), values_(values) {}

  // Of `pixels` that are seen once, whose values are evenly apart.
  Stretch Counted(Range pixels) const {
    std::vector<int64_t> firsts, counts;
    int64_t step = 0, most = 1;
    const Range even = axis_.Even();
    for (int64_t pixel = pixels.begin; pixel < pixels.end; ++pixel) {
      const int64_t before = pixel - axis_.stride;
      if (before >= pixels.begin && even.Holds(before) && even.Holds(pixel)) {
        // As there, one patch further on.
        firsts.push_back(firsts[before - pixels.begin] + steps_.patch);
        counts.push_back(counts[before - pixels.begin]);
        continue;
      }
      const std::vector<Tap> taps = axis_.TapsOver(pixel);
      const int64_t count = taps.size();
      if (count > 1) step = PartOf(taps[1]) - PartOf(taps[0]);
      firsts.push_back(count > 0 ? PartOf(taps[0]) : 0);
      counts.push_back(count);
      most = std::max(most, count);
    }
    const std::array<int64_t, 2> shape = {most, pixels.size()};
    const auto of_pixels = [&](const std::vector<int64_t>& numbers) {
      return xla::BroadcastInDim(xla::ConstantR1<int64_t>(builder_, numbers),
                                 shape, {1});
    };
    const XlaOp n =
        xla::Iota(builder_, xla::ShapeUtil::MakeShape(xla::S64, shape), 0);
    const XlaOp part = of_pixels(firsts) + n * step;
    return Of(pixels.size(), most,
              xla::Select(xla::Lt(n, of_pixels(counts)), part,
                          xla::FullLike(part, values_.nowhere())));
  }

  // The parts of all pixels that are not seen `once`.
  Lists List(Range once) const {
    Lists lists(axis_.image - once.size());
    int64_t listed = 0;
    for (int64_t index = 0; index < axis_.count; ++index) {
      const int64_t start = axis_.Start(index);
      if (start >= once.begin && start + axis_.EffectiveSize() <= once.end) {
        continue;
      }
      for (int64_t tap = 0; tap < axis_.patch; ++tap) {
        const int64_t pixel = axis_.Source(axis_.Pixel(index, tap));
        if (once.Holds(pixel)) continue;
        if (++listed > kMostListed) {
          builder_->ReportError(TooMany());
          return lists;
        }
        lists[pixel < once.begin ? pixel : pixel - once.size()].push_back(
            PartOf({index, tap}));
      }
    }
    return lists;
  }

  // Of pixels whose parts are in [begin, end).
  Stretch Listed(Lists::const_iterator begin, Lists::const_iterator end) const {
    size_t most = 1;
    for (auto list = begin; list != end; ++list) {
      most = std::max(most, list->size());
    }
    xla::Array2D<int64_t> parts(most, end - begin, values_.nowhere());
    for (auto list = begin; list != end; ++list) {
      for (size_t n = 0; n < list->size(); ++n) {
        parts(n, list - begin) = (*list)[n];
      }
    }
    return Of(end - begin, most, xla::ConstantR2FromArray2D(builder_, parts));
  }

  // `stretches` as one, of `most` values.
  Stretch Joined(const std::vector<Stretch>& stretches, int64_t most) const {
    std::vector<XlaOp> parts;
    for (const Stretch& stretch : stretches) {
      parts.push_back(xla::PadInDim(
          stretch.parts, xla::ScalarLike(stretch.parts, values_.nowhere()), 0,
          0, most - stretch.most));
    }
    return {most, axis_.image, xla::ConcatInDim(builder_, parts, 1)};
  }

 private:
  absl::Status TooMany() const {
    return absl::UnimplementedError(absl::StrCat(
        "XLA would have to list more than ", kMostListed,
        " values to fold patches of ", axis_.patch,
        " pixels along an axis with so wide a border. Fold them where XLA does "
        "not compile, or use mode CONSTANT."));
  }

  Stretch Of(int64_t pixels, int64_t most, XlaOp parts) const {
    return {most, pixels, xla::ConvertElementType(parts, values_.type())};
  }

  int64_t PartOf(const Tap& tap) const {
    return tap.index * steps_.patch + tap.tap * steps_.tap;
  }

  XlaBuilder* const builder_;
  const Axis& axis_;
  const Steps steps_;
  const Places values_;
};

}  // namespace

xla::PrimitiveType Places::type() const { return TypeFor(kMostAxes * count_); }

XlaOp PixelsUnderTaps(XlaBuilder* builder, const Axis& axis, int64_t step,
                      const Places& pixels) {
  const int64_t most = axis.count * axis.stride + axis.EffectiveSize() +
                       std::abs(axis.pad_before) + 4 * axis.image;
  const xla::Shape shape =
      xla::ShapeUtil::MakeShape(TypeFor(most), {axis.count, axis.patch});
  const XlaOp index = xla::Iota(builder, shape, 0);
  const XlaOp tap = xla::Iota(builder, shape, 1);
  XlaOp pixel = index * axis.stride + tap * axis.rate - axis.pad_before;
  if (ShowsPixelsOutside(axis)) {
    pixel = SourceOutside(axis, pixel, std::max<int64_t>(0, axis.pad_before));
  }
  return PartOfPixel(axis, pixel, step, pixels);
}

XlaOp PixelsUnderPlacedTaps(const Axis& axis, const Shape& lead,
                            XlaOp positions, std::optional<XlaOp> flips,
                            int64_t step, const Places& pixels) {
  const int64_t span = axis.EffectiveSize();
  // Of S32 or S64, whichever holds both positions and what is counted here.
  const xla::PrimitiveType type = TypeFor(4 * axis.image + 2 * span);
  if (type == xla::S64) positions = xla::ConvertElementType(positions, type);
  XlaOp start = xla::ConvertElementType(Near(axis, positions), type);

  Shape taps = lead;
  taps.push_back(axis.patch);
  const XlaOp tap =
      xla::Iota(positions.builder(), xla::ShapeUtil::MakeShape(type, taps),
                lead.size()) *
      axis.rate;
  const auto of_taps = [&](XlaOp places) {
    return xla::BroadcastInDim(places, taps, AxesFrom(0, lead.size()));
  };
  XlaOp pixel = of_taps(start) + tap;
  if (flips) {
    const XlaOp backwards = of_taps(start + (span - 1)) - tap;
    pixel = xla::Select(of_taps(*flips), backwards, pixel);
  }
  return PartOfPixel(axis, SourceOutside(axis, pixel, 0), step, pixels);
}

std::vector<Stretch> ValuesOfPixels(XlaBuilder* builder, const Axis& axis,
                                    const Steps& steps, const Places& values) {
  const ValueFinder finder(builder, axis, steps, values);
  const Range once = PixelsSeenOnce(axis);
  if (once.size() == axis.image) return {finder.Counted(once)};
  const Lists lists = finder.List(once);
  const auto middle = lists.begin() + once.begin;
  std::vector<Stretch> stretches;
  int64_t most = 0, apart = 0;
  for (const Stretch& stretch :
       {finder.Listed(lists.begin(), middle), finder.Counted(once),
        finder.Listed(middle, lists.end())}) {
    if (stretch.pixels == 0) continue;
    stretches.push_back(stretch);
    most = std::max(most, stretch.most);
    apart += stretch.most * stretch.pixels;
  }
  // A loop for each takes longer to compile, so it has to be worth it.
  if (most * axis.image > 4 * apart) return stretches;
  return {finder.Joined(stretches, most)};
}

}  // namespace tf_patches
