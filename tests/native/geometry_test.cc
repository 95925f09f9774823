// The geometry against a walk over the pixels, and against arithmetic wider
// than its own where numbers are too large to walk over.
#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "geometry/patch_grid.h"
#include "geometry/patch_spec.h"
#include "native/check.h"
#include "native/random.h"
#include "native/requests.h"
#include "native/tests.h"
#include "native/walk.h"

namespace tf_patches {

std::ostream& operator<<(std::ostream& out, Range range) {
  return out << "[" << range.begin << ", " << range.end << ")";
}

std::ostream& operator<<(std::ostream& out, const Axis& axis) {
  return out << "{image " << axis.image << ", patch " << axis.patch
             << ", stride " << axis.stride << ", rate " << axis.rate
             << ", pad_before " << axis.pad_before << ", count " << axis.count
             << "}";
}

namespace {

constexpr int64_t kMin64 = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax64 = std::numeric_limits<int64_t>::max();
constexpr int32_t kMin32 = std::numeric_limits<int32_t>::min();
constexpr int32_t kMax32 = std::numeric_limits<int32_t>::max();

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

// Patch and tap, of all patches with a tap on `pixel`, first to last.
using Covering = std::vector<std::pair<int64_t, int64_t>>;

Covering FindCovering(const Axis& axis, int64_t pixel) {
  Covering covering;
  for (int64_t index = 0; index < axis.count; ++index) {
    const int64_t start = index * axis.stride - axis.pad_before;
    for (int64_t tap = 0; tap < axis.patch; ++tap) {
      if (start + tap * axis.rate == pixel) covering.push_back({index, tap});
    }
  }
  return covering;
}

void CheckOver(Check& check, const Axis& axis, int64_t pixel) {
  const Cover cover = axis.Over(pixel);
  Covering got;
  for (int64_t n = 0; n < cover.count; ++n) {
    got.push_back(
        {cover.index + n * cover.index_step, cover.tap - n * cover.tap_step});
  }
  check.That(got == FindCovering(axis, pixel), "patches over pixel ", pixel,
             " of ", axis, ": got ", cover.count, " from patch ", cover.index,
             ", tap ", cover.tap);
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
               Padding padding, const Visit& visit) {
  Axis axis;
  const std::optional<Error> error =
      MakeAxis("rows", image, spec, padding, &axis);
  const std::optional<Walk> walk = WalkAxis(image, spec, padding);
  check.That(error.has_value() == !walk, "whether valid: ",
             Request{{1, image, 0, 0}, {spec, {1, 1, 1}, padding}});
  if (error || !walk) return;
  check.That(axis.image == image && axis.patch == spec.size &&
                 axis.stride == spec.stride && axis.rate == spec.rate,
             "axis ", axis);
  check.Equal(axis.count, walk->count, "count of ", axis);
  check.Equal(axis.pad_before, walk->pad_before, "pad_before of ", axis);
  CheckInside(check, axis);
  visit(axis);
}

// Calls `visit(image, spec, padding)` for all small ones.
template <typename Visit>
void ForEachSmallAxis(const Visit& visit) {
  for (int64_t image = 0; image <= 8; ++image) {
    for (int64_t size = 1; size <= 5; ++size) {
      for (int64_t stride = 1; stride <= 5; ++stride) {
        for (int64_t rate = 1; rate <= 4; ++rate) {
          for (const Padding padding : {Padding::kSame, Padding::kValid}) {
            visit(image, {size, stride, rate}, padding);
          }
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

__extension__ using Wide = __int128;

// More than anything allowed, and safe to multiply by 64 bits.
constexpr Wide kTooMany = Wide{1} << 63;

template <typename Numbers>
Wide Product(const Numbers& numbers) {
  Wide product = 1;
  for (const Wide number : numbers) {
    if (number == 0) return 0;
    product = std::min(kTooMany, product * number);
  }
  return product;
}

// Whether a shape's elements can be counted, from the left, in 64 bits: zero of
// them too.
bool CanBeCounted(const std::array<Wide, 4>& shape) {
  Wide product = 1;
  for (const Wide dim : shape) {
    product *= dim;
    if (product > kMax64) return false;
  }
  return product <= kMax64 / 16;
}

struct WideAxis {
  bool valid;
  Wide count;
  Wide pad_before;
};

WideAxis MakeWideAxis(Wide image, const AxisSpec& spec, Padding padding) {
  const Wide span = Wide{spec.size - 1} * spec.rate + 1;
  if (image < 0) return {false, 0, 0};
  if (padding == Padding::kSame) {
    const Wide count = (image + spec.stride - 1) / spec.stride;
    const Wide overhang = (count - 1) * spec.stride + span - image;
    return {true, count, count > 0 && overhang > 0 ? overhang / 2 : 0};
  }
  if (image < span) return {span - image < 2 * Wide{spec.stride}, 0, 0};
  return {true, (image - span) / spec.stride + 1, 0};
}

bool IsAddressable(const Request& request, Wide rows, Wide cols) {
  const auto& images = request.images;
  const Wide patch = Product(std::array<Wide, 3>{
      request.spec.rows.size, request.spec.cols.size, images[3]});
  return patch <= kMax32 &&
         CanBeCounted({images[0], images[1], images[2], images[3]}) &&
         CanBeCounted({images[0], rows, cols, patch});
}

bool MostlySmallDims(Random& random, std::array<int64_t, 4>* dims) {
  for (int64_t& dim : *dims) {
    dim = random.OneIn(2)
              ? random.Between(0, 5)
              : random.Of<int64_t>({kMin64, kMin64 + 1, -kMax32, -1, 100, 46341,
                                    1 << 20, kMax32, 1LL << 31, 1LL << 32,
                                    1LL << 48, 1LL << 59, (1LL << 59) - 1,
                                    1LL << 60, 1LL << 62, kMax64 - 1, kMax64});
  }
  return *std::min_element(dims->begin(), dims->end()) >= 0;
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

std::vector<int32_t> Attribute(int64_t rows, int64_t cols) {
  return {1, static_cast<int32_t>(rows), static_cast<int32_t>(cols), 1};
}

// Whether `taps` are those of patch `index` that lie on `pixels`.
bool AreTapsOn(const Axis& axis, int64_t index, Range pixels, Range taps) {
  const auto pixel = [&](Wide tap) {
    return Wide{index} * axis.stride - axis.pad_before + tap * axis.rate;
  };
  const auto parts = [&](int64_t tap, int64_t border) {
    return (tap == 0 || pixel(tap - 1) < border) &&
           (tap == axis.patch || pixel(tap) >= border);
  };
  return 0 <= taps.begin && taps.begin <= taps.end && taps.end <= axis.patch &&
         parts(taps.begin, pixels.begin) && parts(taps.end, pixels.end);
}

// Whether `cover` begins with a patch and a tap on `pixel`.
bool BeginsOn(const Axis& axis, int64_t pixel, const Cover& cover) {
  if (cover.count == 0) return true;
  return 0 <= cover.index && cover.index < axis.count && 0 <= cover.tap &&
         cover.tap < axis.patch && cover.count <= axis.count &&
         Wide{cover.index} * axis.stride - axis.pad_before +
                 Wide{cover.tap} * axis.rate ==
             pixel;
}

// Asks a valid axis, of an image that is not empty, all that kernels ask.
void CheckLargeAxis(Check& check, const Axis& axis) {
  const Range inside = axis.Inside();
  check.That(0 <= inside.begin && inside.begin <= inside.end &&
                 inside.end <= axis.count,
             "patches inside ", axis, ": ", inside);
  for (const int64_t pixel : {int64_t{0}, axis.image / 2, axis.image - 1}) {
    if (axis.patch < 100000) {  // else its search would take long
      check.That(BeginsOn(axis, pixel, axis.Over(pixel)), "patches over pixel ",
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

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string Printed(const std::vector<int32_t>& values) {
  std::string text;
  for (const int32_t value : values) {
    text += (text.empty() ? "" : ", ") + std::to_string(value);
  }
  return "[" + text + "]";
}

// ---- Attributes.

struct Refusal {
  ErrorKind kind;
  std::vector<std::string> told;  // what the message must name
};

std::optional<Refusal> RefuseValues(const Refusal& told,
                                    const std::vector<int32_t>& values) {
  if (values[0] != 1 || values[3] != 1) {
    return Refusal{ErrorKind::kUnimplemented, told.told};
  }
  if (values[1] < 1 || values[2] < 1) {
    return Refusal{ErrorKind::kOutOfRange, told.told};
  }
  return std::nullopt;
}

// All lengths come before any value, as in TensorFlow.
std::optional<Refusal> RefuseAttributes(const std::vector<int32_t>& sizes,
                                        const std::vector<int32_t>& strides,
                                        const std::vector<int32_t>& rates) {
  const std::vector<std::pair<const char*, const std::vector<int32_t>*>>
      attributes = {
          {"sizes", &sizes}, {"strides", &strides}, {"rates", &rates}};
  const auto told = [](const auto& attribute) {
    return Refusal{ErrorKind::kInvalidArgument,
                   {attribute.first, Printed(*attribute.second)}};
  };
  for (const auto& attribute : attributes) {
    if (attribute.second->size() < 4) return told(attribute);
  }
  for (const auto& attribute : attributes) {
    if (auto refusal = RefuseValues(told(attribute), *attribute.second)) {
      return refusal;
    }
  }
  if (Wide{sizes[1]} * sizes[2] > kMax32) {
    return Refusal{ErrorKind::kInvalidArgument, {"sizes", Printed(sizes)}};
  }
  for (const int axis : {1, 2}) {
    if (Wide{sizes[axis] - 1} * rates[axis] + 1 > kMax32) {
      return Refusal{ErrorKind::kInvalidArgument,
                     {"rates", Printed(rates), "sizes", Printed(sizes)}};
    }
  }
  return std::nullopt;
}

std::vector<int32_t> HostileAttribute(Random& random) {
  std::vector<int32_t> values = {1, 1, 1, 1};
  for (const int axis : {1, 2}) {
    values[axis] = random.Of<int32_t>(
        {1, 2, 3, 46340, 46341, 65536, 1 << 30, kMax32 - 1, kMax32});
  }
  if (random.OneIn(6)) {
    values[random.Between(0, 3)] = random.Of({kMin32, -1, 0, 2, kMax32});
  }
  if (random.OneIn(15)) values.resize(random.Between(0, 6), kMax32);
  return values;
}

void CheckRefusal(Check& check, const std::optional<Error>& error,
                  const Refusal& refusal, const std::string& what) {
  check.That(error.has_value(), what, " was accepted");
  if (!error) return;
  check.That(error->kind == refusal.kind, what, " has the wrong kind of error");
  for (const std::string& part : refusal.told) {
    check.That(Contains(error->message, part), what, ": no \"", part,
               "\" in: ", error->message);
  }
}

}  // namespace

void TestSmallAxes(Check& check) {
  ForEachSmallAxis([&](int64_t image, const AxisSpec& spec, Padding padding) {
    CheckAxis(check, image, spec, padding,
              [&](const Axis& axis) { CheckAllPixels(check, axis); });
  });
}

void TestRandomAxes(Check& check) {
  for (int64_t seed = 0; seed < check.cases(); ++seed) {
    Random random(seed);
    const int64_t image = random.Between(0, 300);
    const AxisSpec spec = {random.Between(1, 40), random.Between(1, 50),
                           random.Between(1, 20)};
    CheckAxis(check, image, spec, random.Of({Padding::kSame, Padding::kValid}),
              [&](const Axis& axis) { CheckSomePixels(check, axis, random); });
  }
}

void TestGridShapes(Check& check) {
  ForEachSmallAxis([&](int64_t image, const AxisSpec& spec, Padding padding) {
    const AxisSpec other = {spec.stride, spec.rate, spec.size};
    const Request request = {{spec.rate - 1, image, 7, spec.size % 4},
                             {spec, other, padding}};
    const std::optional<Walk> rows = WalkAxis(image, spec, padding);
    const std::optional<Walk> cols = WalkAxis(7, other, padding);
    PatchGrid grid;
    const bool valid = !MakePatchGrid(request.images, request.spec, &grid);
    check.That(valid == (rows && cols), "whether valid: ", request);
    if (!valid || !rows || !cols) return;
    const auto [batch, height, width, depth] = request.images;
    const int64_t patch_depth = spec.size * other.size * depth;
    const std::array<int64_t, 4> patches = {batch, rows->count, cols->count,
                                            patch_depth};
    check.That(grid.image_shape() == request.images, "images of ", request);
    check.That(grid.patches_shape() == patches, "patches of ", request);
    check.Equal(grid.patch_depth(), patch_depth, request);
    check.Equal(grid.patch_count(), batch * rows->count * cols->count, request);
    check.Equal(grid.image_rows(), batch * height, request);
    check.Equal(grid.cols.image, width, request);
    check.Equal(grid.rows.pad_before, rows->pad_before, request);
    check.Equal(grid.cols.pad_before, cols->pad_before, request);
  });
}

void TestHostileGrids(Check& check) {
  int64_t accepted = 0;
  for (int64_t seed = 0; seed < 10 * check.cases(); ++seed) {
    Random random(seed);
    Request request;
    const AxisSpec down = HostileAxisSpec(random);
    const AxisSpec across = HostileAxisSpec(random);
    const Padding padding = random.Of({Padding::kSame, Padding::kValid});
    if (ParsePatchSpec(Attribute(down.size, across.size),
                       Attribute(down.stride, across.stride),
                       Attribute(down.rate, across.rate), padding,
                       &request.spec)) {
      continue;
    }
    const bool positive = MostlySmallDims(random, &request.images);
    const auto [batch, height, width, depth] = request.images;
    const WideAxis rows = MakeWideAxis(height, down, padding);
    const WideAxis cols = MakeWideAxis(width, across, padding);
    const bool valid = positive && rows.valid && cols.valid &&
                       IsAddressable(request, rows.count, cols.count);
    PatchGrid grid;
    const std::optional<Error> error =
        MakePatchGrid(request.images, request.spec, &grid);
    check.That(valid == !error, "whether valid: ", request);
    if (error) {
      check.That(error->kind == ErrorKind::kInvalidArgument, request);
      continue;
    }
    check.That(grid.rows.count == rows.count && grid.cols.count == cols.count &&
                   grid.rows.pad_before == rows.pad_before &&
                   grid.cols.pad_before == cols.pad_before,
               "axes of ", request, ": ", grid.rows, " ", grid.cols);
    if (Product(request.images) == 0) continue;
    ++accepted;
    check.That(grid.patch_count() >= 0 && grid.image_rows() > 0, request);
    CheckLargeAxis(check, grid.rows);
    CheckLargeAxis(check, grid.cols);
  }
  check.That(accepted > check.cases() / 10, "accepted only ", accepted);
}

void TestHostileAttributes(Check& check) {
  for (int64_t seed = 0; seed < 10 * check.cases(); ++seed) {
    Random random(seed);
    const std::vector<int32_t> sizes = HostileAttribute(random);
    const std::vector<int32_t> strides = HostileAttribute(random);
    const std::vector<int32_t> rates = HostileAttribute(random);
    const std::string what = "sizes " + Printed(sizes) + ", strides " +
                             Printed(strides) + ", rates " + Printed(rates);
    PatchSpec spec;
    const std::optional<Error> error =
        ParsePatchSpec(sizes, strides, rates, Padding::kSame, &spec);
    if (const auto refusal = RefuseAttributes(sizes, strides, rates)) {
      CheckRefusal(check, error, *refusal, what);
      continue;
    }
    check.That(!error, what, " was refused");
    if (error) continue;
    const auto is = [&](const AxisSpec& axis, int entry) {
      return axis.size == sizes[entry] && axis.stride == strides[entry] &&
             axis.rate == rates[entry];
    };
    check.That(is(spec.rows, 1) && is(spec.cols, 2), what, " was misread");
  }
}

void TestMessages(Check& check) {
  struct Case {
    Request request;
    std::vector<std::string> told;
  };
  const AxisSpec one = {1, 1, 1};
  const std::vector<Case> cases = {
      {{{-7, 4, 4, 1}, {one, one, Padding::kSame}},
       {"image_shape", "[-7, 4, 4, 1]"}},
      {{{1, 4, 4, -5}, {one, one, Padding::kSame}},
       {"image_shape", "[1, 4, 4, -5]"}},
      {{{1, -3, 4, 1}, {one, one, Padding::kSame}},
       {"image_shape", "[1, -3, 4, 1]"}},
      {{{1, 4, kMin64, 1}, {one, one, Padding::kValid}},
       {"image_shape", std::to_string(kMin64)}},
      {{{1, 6, 4, 1}, {{4, 1, 3}, one, Padding::kValid}},
       {"A patch of 10 rows", "sizes 4", "rates 3", "strides 1",
        "an image of 6 rows", "padding SAME"}},
      {{{1, 4, 6, 1}, {one, {9, 1, 1}, Padding::kValid}},
       {"A patch of 9 cols", "an image of 6 cols"}},
      {{{1, 4, 4, 60000}, {{200, 1, 1}, {300, 1, 1}, Padding::kSame}},
       {"sizes", "200 rows", "300 cols", "depth 60000", "2147483647"}},
      {{{1LL << 40, 1LL << 30, 1, 1}, {one, one, Padding::kSame}},
       {"shape [1099511627776, 1073741824, 1, 1]"}},
      {{{1, 1LL << 31, 1LL << 27, 1}, {{9, 1, 1}, one, Padding::kSame}},
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
