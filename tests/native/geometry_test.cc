// The geometry against a walk over the pixels, and against arithmetic wider
// than its own where numbers are too large to walk over.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "geometry/patch_grid.h"
#include "geometry/patch_spec.h"
#include "native/check.h"
#include "native/hostile.h"
#include "native/random.h"
#include "native/requests.h"
#include "native/tests.h"
#include "native/walk.h"

namespace tf_patches {

std::ostream& operator<<(std::ostream& out, Range range) {
  return out << "[" << range.begin << ", " << range.end << ")";
}

namespace {

// Equal, or both without a member.
bool Same(Range a, Range b) {
  return (a.empty() && b.empty()) || (a.begin == b.begin && a.end == b.end);
}

// Counts the members of `[0, count)` that fulfil `in`, which are neighbours.
template <typename In>
Range Members(int64_t count, const In& in) {
  Range members = {count, count};
  for (int64_t i = count; i-- > 0;) {
    if (!in(i)) continue;
    if (members.begin == count) members.end = i + 1;
    members.begin = i;
  }
  return members;
}

void CheckTaps(Check& check, const Axis& axis, int64_t index, Range pixels) {
  const auto taps_before = [&](int64_t pixel) {
    int64_t taps = 0;
    for (int64_t tap = 0; tap < axis.patch; ++tap) {
      const int64_t at = index * axis.stride - axis.pad_before;
      taps += at + tap * axis.rate < pixel;
    }
    return taps;
  };
  const Range got = axis.TapsOn(index, pixels);
  // Even where there is none, the taps before and after must be told apart.
  const Range want = {taps_before(pixels.begin), taps_before(pixels.end)};
  check.That(got.begin == want.begin && got.end == want.end, "taps of patch ",
             index, " on ", pixels, " of ", axis, ": got ", got, ", want ",
             want);
}

// Patch and tap, of all patches that see `pixel`, first to last.
using Seen = std::vector<std::pair<int64_t, int64_t>>;

Seen FindTaps(const Axis& axis, int64_t pixel) {
  Seen seen;
  for (int64_t index = 0; index < axis.count; ++index) {
    const int64_t start = index * axis.stride - axis.pad_before;
    for (int64_t tap = 0; tap < axis.patch; ++tap) {
      const int64_t at = start + tap * axis.rate;
      if (WalkTo(at, axis.image, axis.border) == pixel) {
        seen.push_back({index, tap});
      }
    }
  }
  return seen;
}

void CheckOver(Check& check, const Axis& axis, int64_t pixel) {
  Seen got;
  for (const Tap& tap : axis.TapsOver(pixel)) {
    got.push_back({tap.index, tap.tap});
  }
  check.That(got == FindTaps(axis, pixel), "taps over pixel ", pixel, " of ",
             axis, ": got ", got.size());
}

void CheckSource(Check& check, const Axis& axis) {
  if (axis.count == 0 || axis.image == 0) return;
  const Range covered = axis.Covered();
  for (int64_t at = covered.begin; at < covered.end; ++at) {
    check.Equal(axis.Source(at), WalkTo(at, axis.image, axis.border),
                "what is seen at ", at, " of ", axis);
  }
}

void CheckInside(Check& check, const Axis& axis) {
  const Range got = axis.Inside();
  const Range want = Members(axis.count, [&](int64_t index) {
    const int64_t start = index * axis.stride - axis.pad_before;
    return start >= 0 && start + (axis.patch - 1) * axis.rate < axis.image;
  });
  check.That(Same(got, want), "patches inside ", axis, ": got ", got, ", want ",
             want);
}

void CheckPatchesOver(Check& check, const Axis& axis, Range pixels) {
  const Range got = axis.PatchesOver(pixels);
  const Range want = Members(axis.count, [&](int64_t index) {
    const int64_t start = index * axis.stride - axis.pad_before;
    const int64_t last = start + (axis.patch - 1) * axis.rate;
    return start < pixels.end && last >= pixels.begin;
  });
  check.That(Same(got, want), "patches over ", pixels, " of ", axis, ": got ",
             got, ", want ", want);
}

// Compares `MakeAxis` with a walk, then calls `visit(axis)` where it is valid.
template <typename Visit>
void CheckAxis(Check& check, int64_t image, const AxisSpec& spec,
               Padding padding, Border border, const Visit& visit) {
  Axis axis;
  const std::optional<Error> error =
      MakeAxis("rows", image, spec, padding, border, &axis);
  std::optional<Walk> walk = WalkAxis(image, spec, padding);
  if (image == 0 && walk && walk->count > 0 && border != Border::kConstant) {
    walk = std::nullopt;  // nothing to be seen beyond
  }
  check.That(error.has_value() == !walk, "whether valid: ",
             Flat({1, image, 0, 0}, spec, {}, padding, border));
  if (error || !walk) return;
  check.That(axis.image == image && axis.patch == spec.size &&
                 axis.stride == spec.stride && axis.rate == spec.rate,
             "axis ", axis);
  check.Equal(axis.count, walk->count, "count of ", axis);
  check.Equal(axis.pad_before, walk->pad_before, "pad_before of ", axis);
  CheckInside(check, axis);
  CheckSource(check, axis);
  visit(axis);
}

constexpr Border kBorders[] = {Border::kConstant, Border::kReflect,
                               Border::kSymmetric, Border::kEdge,
                               Border::kWrap};

// Calls `visit(image, spec, padding)` for all small ones.
template <typename Visit>
void ForEachSmallAxis(const Visit& visit) {
  for (int64_t image = 0; image <= 8; ++image) {
    for (int64_t size = 1; size <= 5; ++size) {
      for (int64_t stride = 1; stride <= 5; ++stride) {
        for (int64_t rate = 1; rate <= 4; ++rate) {
          for (const Padding padding :
               {Padding::kSame, Padding::kSameUnclamped, Padding::kValid}) {
            visit(image, AxisSpec{size, stride, rate}, padding);
          }
          const int64_t before = image + size - rate;
          const AxisSpec padded = {size, stride, rate,
                                   std::max<int64_t>(0, before), stride % 3};
          visit(image, padded, Padding::kExplicit);
        }
      }
    }
  }
}

void CheckAllPixels(Check& check, const Axis& axis) {
  for (int64_t begin = 0; begin < axis.image; ++begin) {
    CheckOver(check, axis, begin);
    for (int64_t end = begin + 1; end <= axis.image; ++end) {
      CheckPatchesOver(check, axis, {begin, end});
      for (int64_t index = 0; index < axis.count; ++index) {
        CheckTaps(check, axis, index, {begin, end});
      }
    }
  }
}

void CheckSomePixels(Check& check, const Axis& axis, Random& random) {
  if (axis.image == 0 || axis.count == 0) return;
  for (int i = 0; i < 10; ++i) {
    const int64_t begin = random.Between(0, axis.image - 1);
    const Range pixels = {begin, random.Between(begin + 1, axis.image)};
    CheckOver(check, axis, begin);
    CheckPatchesOver(check, axis, pixels);
    CheckTaps(check, axis, random.Between(0, axis.count - 1), pixels);
  }
}

// ---- Numbers too large to walk over.

template <typename Numbers>
Int128 Product(const Numbers& numbers) {
  Int128 product = 1;
  for (const Int128 number : numbers) {
    if (number == 0) return 0;
    product = std::min(kTooMany, product * number);
  }
  return product;
}

struct WideAxis {
  bool valid;
  Int128 count;
  Int128 pad_before;
};

WideAxis MakeWideAxis(Int128 image, const AxisSpec& spec, Padding padding) {
  const Int128 span = Int128{spec.size - 1} * spec.rate + 1;
  if (image < 0) return {false, 0, 0};
  if (padding == Padding::kSame || padding == Padding::kSameUnclamped) {
    const Int128 count = (image + spec.stride - 1) / spec.stride;
    const Int128 overhang = (count - 1) * spec.stride + span - image;
    const bool is_padded = padding != Padding::kSame || overhang > 0;
    return {true, count, count > 0 && is_padded ? overhang / 2 : 0};
  }
  const Int128 padded = image + spec.before + spec.after;
  if (padded > kMax64) return {false, 0, 0};
  if (padded < span) {
    return {span - padded < 2 * Int128{spec.stride}, 0, spec.before};
  }
  return {true, (padded - span) / spec.stride + 1, spec.before};
}

bool IsAddressable(const Request& request, const std::vector<Int128>& counts) {
  Int128 patch = request.depth();
  std::vector<Int128> images(request.images.begin(), request.images.end());
  std::vector<Int128> patches = {request.images[0]};
  for (size_t i = 0; i < counts.size(); ++i) {
    patch *= request.spec.axis[kMostAxes - counts.size() + i].size;
    patches.push_back(counts[i]);
    if (patch > kMax32) return false;
  }
  patches.push_back(patch);
  return CanBeCounted(images) && CanBeCounted(patches);
}

AxisSpec HostileAxisSpec(Random& random) {
  const auto number = [&] {
    return random.Of<int64_t>({1, 1, 2, 3, random.Between(1, 9), 46340, 46341,
                               65536, 1 << 30, kMax32 - 1, kMax32});
  };
  const int64_t size = number();
  const int64_t stride = number();
  return {size, stride, size > 1 && number() > 9 ? kMax32 / size : number()};
}

// Whether `taps` are those of patch `index` that lie on `pixels`.
bool AreTapsOn(const Axis& axis, int64_t index, Range pixels, Range taps) {
  const auto pixel = [&](Int128 tap) {
    return Int128{index} * axis.stride - axis.pad_before + tap * axis.rate;
  };
  const auto parts = [&](int64_t tap, int64_t border) {
    return (tap == 0 || pixel(tap - 1) < border) &&
           (tap == axis.patch || pixel(tap) >= border);
  };
  return 0 <= taps.begin && taps.begin <= taps.end && taps.end <= axis.patch &&
         parts(taps.begin, pixels.begin) && parts(taps.end, pixels.end);
}

// Whether `taps` are on a pixel, of an axis whose border is constant.
bool AreOn(const Axis& axis, int64_t pixel, const std::vector<Tap>& taps) {
  return std::all_of(taps.begin(), taps.end(), [&](const Tap& tap) {
    return 0 <= tap.index && tap.index < axis.count && 0 <= tap.tap &&
           tap.tap < axis.patch &&
           Int128{tap.index} * axis.stride - axis.pad_before +
                   Int128{tap.tap} * axis.rate ==
               pixel;
  });
}

// Asks a valid axis, of an image that is not empty, all that kernels ask.
void CheckLargeAxis(Check& check, const Axis& axis) {
  const Range inside = axis.Inside();
  check.That(0 <= inside.begin && inside.begin <= inside.end &&
                 inside.end <= axis.count,
             "patches inside ", axis, ": ", inside);
  for (const int64_t pixel : {int64_t{0}, axis.image / 2, axis.image - 1}) {
    const int64_t most =
        std::min(axis.count, axis.patch / std::max<int64_t>(1, axis.stride));
    if (most < 100000) {  // else listing them would take long
      check.That(AreOn(axis, pixel, axis.TapsOver(pixel)), "taps over pixel ",
                 pixel, " of ", axis);
    }
    const Range pixels = {pixel, axis.image};
    for (const int64_t index : {int64_t{0}, axis.count / 2, axis.count - 1}) {
      if (index < 0 || index >= axis.count) continue;
      const Range taps = axis.TapsOn(index, pixels);
      check.That(AreTapsOn(axis, index, pixels, taps), "taps of patch ", index,
                 " on ", pixels, " of ", axis, ": ", taps);
    }
  }
}

// Beyond the borders: anywhere, without walking there.
void CheckLargeSources(Check& check, Axis axis, Random& random) {
  for (const Border border : kBorders) {
    axis.border = border;
    for (int i = 0; i < 4; ++i) {
      const int64_t at =
          random.Of<int64_t>({-kMax32, random.Between(-kMax32, kMax32),
                              axis.image - 1 + random.Between(1, kMax32)});
      const int64_t source = axis.Source(at);
      const bool is_inside = 0 <= at && at < axis.image;
      check.That(is_inside || border != Border::kConstant
                     ? axis.image > source && source >= 0
                     : source < 0,
                 "what is seen at ", at, " of ", axis, ": ", source);
    }
  }
}

// ---- Attributes.

std::optional<Refusal> RefuseValues(const Refusal& told,
                                    const std::vector<int64_t>& values,
                                    int axes) {
  if (values[0] != 1 || values[axes + 1] != 1) {
    return Refusal{ErrorKind::kUnimplemented, told.told};
  }
  for (int i = 1; i <= axes; ++i) {
    if (values[i] < 1) return Refusal{ErrorKind::kOutOfRange, told.told};
  }
  return std::nullopt;
}

std::optional<Refusal> RefusePaddings(const PatchAttributes& attributes,
                                      int axes) {
  const std::vector<int64_t>& values = attributes.explicit_paddings;
  const bool is_explicit = attributes.padding == Padding::kExplicit;
  const Refusal invalid = {ErrorKind::kInvalidArgument,
                           {"padding", Printed(values)}};
  if (!is_explicit && !values.empty()) return invalid;
  if (!is_explicit) return std::nullopt;
  if (values.size() != static_cast<size_t>(2 * axes + 4)) return invalid;
  for (const size_t i :
       {size_t{0}, size_t{1}, values.size() - 2, values.size() - 1}) {
    if (values[i] != 0) return Refusal{ErrorKind::kUnimplemented, invalid.told};
  }
  for (const int64_t value : values) {
    if (value < 0 || value > kMax32) return invalid;
  }
  return std::nullopt;
}

// All lengths come before any value, as in TensorFlow.
std::optional<Refusal> RefuseAttributes(const PatchAttributes& request,
                                        int axes) {
  const auto& [sizes, strides, rates, padding, paddings, border] = request;
  const std::vector<std::pair<const char*, const std::vector<int64_t>*>>
      attributes = {
          {"sizes", &sizes}, {"strides", &strides}, {"rates", &rates}};
  const auto told = [](const auto& attribute) {
    return Refusal{ErrorKind::kInvalidArgument,
                   {attribute.first, Printed(*attribute.second)}};
  };
  for (const auto& attribute : attributes) {
    const auto& [least, most] =
        std::minmax_element(attribute.second->begin(), attribute.second->end());
    if (!attribute.second->empty() && (*least < kMin32 || *most > kMax32)) {
      return told(attribute);
    }
    const auto length = static_cast<int>(attribute.second->size());
    const bool may_be_longer = axes > 1;  // as TensorFlow's kernels have it
    if (length < axes + 2 || (!may_be_longer && length > axes + 2)) {
      return told(attribute);
    }
  }
  for (const auto& attribute : attributes) {
    if (auto refusal = RefuseValues(told(attribute), *attribute.second, axes)) {
      return refusal;
    }
  }
  if (auto refusal = RefusePaddings(request, axes)) return refusal;
  Int128 pixels = 1;
  for (int i = 1; i <= axes; ++i) {
    pixels = std::min(kTooMany, pixels * sizes[i]);
  }
  if (pixels > kMax32) {
    return Refusal{ErrorKind::kInvalidArgument, {"sizes", Printed(sizes)}};
  }
  for (int i = 1; i <= axes; ++i) {
    if (Int128{sizes[i] - 1} * rates[i] + 1 > kMax32) {
      return Refusal{ErrorKind::kInvalidArgument,
                     {"rates", Printed(rates), "sizes", Printed(sizes)}};
    }
  }
  return std::nullopt;
}

std::vector<int64_t> HostileAttribute(Random& random, int axes) {
  std::vector<int64_t> values(axes + 2, 1);
  for (int i = 1; i <= axes; ++i) {
    values[i] = random.Of<int64_t>(
        {1, 1, 2, 3, 1291, 46340, 46341, 65536, 1 << 30, kMax32 - 1, kMax32});
  }
  if (random.OneIn(6)) {
    values[random.Between(0, axes + 1)] =
        random.Of<int64_t>({kMin64, -1, 0, 2, kMax32, kMax32 + 1LL, kMax64});
  }
  if (random.OneIn(15)) values.resize(random.Between(0, 6), kMax32);
  return values;
}

std::vector<int64_t> HostilePaddings(Random& random, int axes) {
  std::vector<int64_t> values(2 * axes + 4, 0);
  for (int i = 2; i < 2 * axes + 2; ++i) {
    values[i] = random.Of<int64_t>({0, 1, 2, 100, kMax32 - 1, kMax32});
  }
  if (random.OneIn(6)) {
    values[random.Between(0, values.size() - 1)] =
        random.Of<int64_t>({kMin64, -1, 1, kMax32 + 1LL, kMax64});
  }
  if (random.OneIn(15)) values.resize(random.Between(0, 12), 1);
  return values;
}

// Fewer axes, for the same patches of the same pixels.
void CheckReduced(Check& check, const Request& request, const PatchGrid& grid) {
  const PatchGrid reduced = grid.Reduced();
  const auto pixels = [](const PatchGrid& grid) {
    return grid.image_rows() * grid.cols().image * grid.depth;
  };
  check.Equal(pixels(reduced), pixels(grid), "pixels of ", request);
  check.Equal(reduced.patch_count(), grid.patch_count(), "patches of ",
              request);
  check.Equal(reduced.patch_depth(), grid.patch_depth(), "depth of ", request);
  check.That(reduced.patch_count() == 0 || !reduced.planes().IsPixels() ||
                 reduced.planes().image == 1,
             "planes of ", request);
}

}  // namespace

void TestSmallAxes(Check& check) {
  ForEachSmallAxis([&](int64_t image, const AxisSpec& spec, Padding padding) {
    for (const Border border : kBorders) {
      CheckAxis(check, image, spec, padding, border,
                [&](const Axis& axis) { CheckAllPixels(check, axis); });
    }
  });
}

void AxisCase(Check& check, Random& random) {
  const int64_t image = random.Between(0, 300);
  AxisSpec spec = {random.Between(1, 40), random.Between(1, 50),
                   random.Between(1, 20)};
  const Padding padding =
      random.Of({Padding::kSame, Padding::kSameUnclamped, Padding::kExplicit});
  if (padding == Padding::kExplicit) {
    spec.before = random.Between(0, 90);
    spec.after = random.Between(0, 90);
  }
  CheckAxis(check, image, spec, padding, kBorders[random.Between(0, 4)],
            [&](const Axis& axis) { CheckSomePixels(check, axis, random); });
}

void TestRandomAxes(Check& check) {
  ForEachSeed(check.cases(), [&](Random& random) { AxisCase(check, random); });
}

void TestGridShapes(Check& check) {
  ForEachSmallAxis([&](int64_t image, const AxisSpec& spec, Padding padding) {
    const AxisSpec other = {spec.stride, spec.rate, spec.size};
    Request request =
        Flat({spec.rate - 1, image, 7, spec.size % 4}, spec, other, padding);
    if (image % 2 == 1) {  // planes, too
      request.images.insert(request.images.begin() + 1, 5);
      request.spec.axes = 3;
      request.spec.axis[0] = {2, spec.size, 1};
    }
    std::vector<Walk> walks;
    for (int i = 0; i < kMostAxes; ++i) {
      const auto walk =
          WalkAxis(request.space()[i], request.spec.axis[i], padding);
      if (walk) walks.push_back(*walk);
    }
    PatchGrid grid;
    const bool valid = !MakePatchGrid(request.images, request.spec, &grid);
    check.That(valid == (walks.size() == kMostAxes),
               "whether valid: ", request);
    if (!valid || walks.size() < kMostAxes) return;
    const int64_t patch_depth = request.spec.patch_pixels() * request.depth();
    Shape patches = {request.images[0], walks[0].count, walks[1].count,
                     walks[2].count, patch_depth};
    if (request.spec.axes == 2) patches.erase(patches.begin() + 1);
    check.That(grid.image_shape() == request.images, "images of ", request);
    check.That(grid.patches_shape() == patches, "patches of ", request);
    check.Equal(grid.patch_depth(), patch_depth, request);
    const auto space = request.space();
    check.Equal(grid.image_rows(), request.images[0] * space[0] * space[1],
                request);
    for (int i = 0; i < kMostAxes; ++i) {
      check.Equal(grid.axis[i].image, space[i], request);
      check.Equal(grid.axis[i].pad_before, walks[i].pad_before, request);
    }
    CheckReduced(check, request, grid);
  });
}

bool HostileGridCase(Check& check, Random& random) {
  Request request;
  PatchSpec& spec = request.spec;
  spec.axes = random.Of({1, 2, 2, 3});
  spec.padding = random.Of({Padding::kSame, Padding::kSameUnclamped,
                            Padding::kValid, Padding::kExplicit});
  spec.border = Border::kConstant;
  PatchAttributes attributes;
  attributes.padding = spec.padding;
  attributes.sizes = attributes.strides = attributes.rates = {1};
  if (spec.padding == Padding::kExplicit) {
    attributes.explicit_paddings = {0, 0};
  }
  for (int i = kMostAxes - spec.axes; i < kMostAxes; ++i) {
    spec.axis[i] = HostileAxisSpec(random);
    attributes.sizes.push_back(spec.axis[i].size);
    attributes.strides.push_back(spec.axis[i].stride);
    attributes.rates.push_back(spec.axis[i].rate);
    if (spec.padding != Padding::kExplicit) continue;
    for (int64_t* const pixels : {&spec.axis[i].before, &spec.axis[i].after}) {
      *pixels = random.Of<int64_t>({0, 1, 2, 1000, kMax32});
      attributes.explicit_paddings.push_back(*pixels);
    }
  }
  for (auto* list :
       {&attributes.sizes, &attributes.strides, &attributes.rates}) {
    list->push_back(1);
  }
  if (spec.padding == Padding::kExplicit) {
    attributes.explicit_paddings.insert(attributes.explicit_paddings.end(),
                                        {0, 0});
  }
  PatchSpec parsed;
  if (ParsePatchSpec(attributes, spec.axes, &parsed)) return false;
  request.images.resize(spec.axes + 2);
  const bool positive = MostlySmallDims(random, &request.images);
  bool axes_are_valid = true;
  std::vector<Int128> counts, pads;
  for (int i = kMostAxes - spec.axes; i < kMostAxes; ++i) {
    const WideAxis axis =
        MakeWideAxis(request.images[i - (kMostAxes - spec.axes) + 1],
                     spec.axis[i], spec.padding);
    axes_are_valid &= axis.valid;
    counts.push_back(axis.count);
    pads.push_back(axis.pad_before);
  }
  const bool valid =
      positive && axes_are_valid && IsAddressable(request, counts);
  PatchGrid grid;
  const std::optional<Error> error =
      MakePatchGrid(request.images, parsed, &grid);
  check.That(valid == !error, "whether valid: ", request);
  if (error) {
    check.That(error->kind == ErrorKind::kInvalidArgument, request);
    return false;
  }
  for (int i = 0; i < spec.axes; ++i) {
    const Axis& axis = grid.axis[kMostAxes - spec.axes + i];
    check.That(axis.count == counts[i] && axis.pad_before == pads[i],
               "axes of ", request, ": ", axis);
  }
  if (Product(request.images) == 0) return false;
  check.That(grid.patch_count() >= 0 && grid.image_rows() > 0, request);
  for (const Axis& axis : grid.axis) {
    CheckLargeAxis(check, axis);
    CheckLargeSources(check, axis, random);
  }
  return true;
}

void TestHostileGrids(Check& check) {
  int64_t accepted = 0;
  ForEachSeed(10 * check.cases(), [&](Random& random) {
    accepted += HostileGridCase(check, random);
  });
  check.That(accepted > check.cases() / 10, "accepted only ", accepted);
}

void HostileAttributesCase(Check& check, Random& random) {
  const int axes = random.Of({1, 2, 2, 3});
  PatchAttributes attributes;
  attributes.sizes = HostileAttribute(random, axes);
  attributes.strides = HostileAttribute(random, axes);
  attributes.rates = HostileAttribute(random, axes);
  attributes.padding =
      random.Of({Padding::kSame, Padding::kSame, Padding::kExplicit});
  if (attributes.padding == Padding::kExplicit || random.OneIn(30)) {
    attributes.explicit_paddings = HostilePaddings(random, axes);
  }
  const std::string what = "sizes " + Printed(attributes.sizes) + ", strides " +
                           Printed(attributes.strides) + ", rates " +
                           Printed(attributes.rates) + ", padding " +
                           Printed(attributes.explicit_paddings);
  PatchSpec spec;
  const std::optional<Error> error = ParsePatchSpec(attributes, axes, &spec);
  if (const auto refusal = RefuseAttributes(attributes, axes)) {
    CheckRefusal(check, error, *refusal, what);
    return;
  }
  check.That(!error, what, " was refused: ", error ? error->message : "");
  if (error) return;
  for (int i = 0; i < axes; ++i) {
    const AxisSpec& axis = spec.axis[kMostAxes - axes + i];
    check.That(axis.size == attributes.sizes[i + 1] &&
                   axis.stride == attributes.strides[i + 1] &&
                   axis.rate == attributes.rates[i + 1],
               what, " was misread");
    if (attributes.padding != Padding::kExplicit) continue;
    check.That(axis.before == attributes.explicit_paddings[2 * i + 2] &&
                   axis.after == attributes.explicit_paddings[2 * i + 3],
               what, " was misread");
  }
}

void TestHostileAttributes(Check& check) {
  ForEachSeed(10 * check.cases(),
              [&](Random& random) { HostileAttributesCase(check, random); });
}

void TestMessages(Check& check) {
  struct Case {
    Request request;
    std::vector<std::string> told;
  };
  const AxisSpec one;
  const std::vector<Case> cases = {
      {Flat({-7, 4, 4, 1}, one, one, Padding::kSame),
       {"image_shape", "[-7, 4, 4, 1]"}},
      {Flat({1, 4, 4, -5}, one, one, Padding::kSame),
       {"image_shape", "[1, 4, 4, -5]"}},
      {Flat({1, -3, 4, 1}, one, one, Padding::kSame),
       {"image_shape", "[1, -3, 4, 1]"}},
      {Flat({1, 4, kMin64, 1}, one, one, Padding::kValid),
       {"image_shape", std::to_string(kMin64)}},
      {Flat({1, 6, 4, 1}, {4, 1, 3}, one, Padding::kValid),
       {"A patch of 10 rows", "sizes 4", "rates 3", "strides 1",
        "an image of 6 rows", "padding SAME"}},
      {Flat({1, 4, 6, 1}, one, {9, 1, 1}, Padding::kValid),
       {"A patch of 9 cols", "an image of 6 cols"}},
      {Flat({1, 4, 6, 1}, one, {19, 1, 1, 1, 2}, Padding::kExplicit),
       {"A patch of 19 cols", "an image of 6 cols", "padding [1, 2]"}},
      {Flat({1, 0, 6, 1}, {1, 1, 1, 3, 0}, one, Padding::kExplicit,
            Border::kEdge),
       {"An image of 0 rows", "mode CONSTANT"}},
      {Flat({1, kMax64, 1, 1}, {1, 1, 1, 3, 0}, one, Padding::kExplicit),
       {"An image of " + std::to_string(kMax64) + " rows", "too large"}},
      {{{1, 3, 9, 9, 1},
        {3, {AxisSpec{8, 1, 1}, one, one}, Padding::kValid, Border::kConstant}},
       {"A patch of 8 planes", "an image of 3 planes"}},
      {{{1, 9, 9, 9, 60000},
        {3,
         {AxisSpec{200, 1, 1}, {20, 1, 1}, {30, 1, 1}},
         Padding::kSame,
         Border::kConstant}},
       {"sizes", "200 planes, 20 rows, 30 cols and depth 60000"}},
      {Flat({1, 4, 4, 60000}, {200, 1, 1}, {300, 1, 1}, Padding::kSame),
       {"sizes", "200 rows", "300 cols", "depth 60000", "2147483647"}},
      {Flat({1LL << 40, 1LL << 30, 1, 1}, one, one, Padding::kSame),
       {"shape [1099511627776, 1073741824, 1, 1]"}},
      {Flat({1, 1LL << 31, 1LL << 27, 1}, {9, 1, 1}, one, Padding::kSame),
       {"[1, 2147483648, 134217728, 1]", "[1, 2147483648, 134217728, 9]"}},
  };
  for (const Case& test : cases) {
    PatchGrid grid;
    CheckRefusal(check,
                 MakePatchGrid(test.request.images, test.request.spec, &grid),
                 {ErrorKind::kInvalidArgument, test.told}, "a bad request");
  }
}

}  // namespace tf_patches
