// Where single patches lie, and which requests for them are refused, against
// arithmetic wider than their own.
#include "geometry/placement.h"

#include <algorithm>
#include <string>
#include <vector>

#include "native/check.h"
#include "native/hostile.h"
#include "native/random.h"
#include "native/tests.h"

namespace tf_patches {
namespace {

constexpr int64_t kBeyond = int64_t{1} << 62;

constexpr Border kBorders[] = {Border::kConstant, Border::kReflect,
                               Border::kSymmetric, Border::kEdge,
                               Border::kWrap};

// What is asked for, and of which images.
struct Asked {
  PlacementAttributes attributes;
  Shape images;
  int64_t count;
};

std::ostream& operator<<(std::ostream& out, const Asked& asked) {
  return out << "sizes " << Printed(asked.attributes.sizes) << ", rates "
             << Printed(asked.attributes.rates) << ", images "
             << Printed(asked.images) << ", count " << asked.count
             << ", border " << static_cast<int>(asked.attributes.border);
}

std::vector<int64_t> HostileList(Random& random, int length) {
  std::vector<int64_t> values(length);
  for (int64_t& value : values) {
    value = random.Of<int64_t>(
        {1, 1, 1, 2, 3, 7, 1290, 46341, 1 << 30, kMax32 - 1, kMax32});
  }
  if (random.OneIn(6) && length > 0) {
    values[random.Between(0, length - 1)] =
        random.Of<int64_t>({kMin64, -kMax32, -1, 0, kMax32 + 1LL, kMax64});
  }
  if (random.OneIn(15)) values.resize(random.Between(0, 5), 1);
  return values;
}

std::optional<Refusal> RefuseList(const char* name,
                                  const std::vector<int64_t>& values,
                                  size_t axes) {
  const std::vector<std::string> told = {name, Printed(values)};
  const Refusal invalid = {ErrorKind::kInvalidArgument, told};
  if (values.size() != axes) return invalid;
  for (const int64_t value : values) {
    if (value < 1) return Refusal{ErrorKind::kOutOfRange, told};
    if (value > kMax32) return invalid;
  }
  return std::nullopt;
}

std::optional<Refusal> RefuseAttributes(const PlacementAttributes& attributes) {
  const auto& [sizes, rates, border] = attributes;
  const Refusal sizes_refused = {ErrorKind::kInvalidArgument,
                                 {"sizes", Printed(sizes)}};
  if (sizes.empty() || sizes.size() > kMostAxes) return sizes_refused;
  if (auto refusal = RefuseList("sizes", sizes, sizes.size())) return refusal;
  if (auto refusal = RefuseList("rates", rates, sizes.size())) return refusal;
  Int128 pixels = 1;
  for (size_t i = 0; i < sizes.size(); ++i) {
    pixels *= sizes[i];
    if (pixels > kMax32) return sizes_refused;
    if (Int128{sizes[i] - 1} * rates[i] + 1 > kMax32) {
      return Refusal{ErrorKind::kInvalidArgument,
                     {"sizes", Printed(sizes), "rates", Printed(rates)}};
    }
  }
  return std::nullopt;
}

// Of valid attributes.
bool CanBePlaced(const Asked& asked) {
  const auto& [sizes, rates, border] = asked.attributes;
  const Shape& images = asked.images;
  if (*std::min_element(images.begin(), images.end()) < 0) return false;
  const bool has_patches = asked.count > 0 && images.front() > 0;
  Int128 patch = images.back();
  std::vector<Int128> pixels(images.begin(), images.end());
  std::vector<Int128> patches = {images.front(), asked.count};
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (images[i + 1] == 0 && has_patches && border != Border::kConstant) {
      return false;
    }
    patch *= sizes[i];
    patches.push_back(sizes[i]);
    if (patch > kMax32) return false;
  }
  patches.push_back(images.back());
  // Lines have lengths that can be counted even where there are none of them.
  std::replace(pixels.begin(), pixels.end(), Int128{0}, Int128{1});
  return CanBeCounted(pixels) && CanBeCounted(patches);
}

// Asks a patch at each of the furthest positions all that kernels ask.
void CheckFurthest(Check& check, Random& random, const Asked& asked,
                   Placement placement) {
  for (const int64_t at : {-kBeyond + 1, kBeyond - 1, int64_t{-1},
                           random.Between(-kBeyond + 1, kBeyond - 1)}) {
    Place place;
    for (int i = kMostAxes - placement.axes; i < kMostAxes; ++i) {
      place.position[i] = at;
    }
    placement.places = {place};
    check.That(!CheckPlaces(placement), "at ", at, ", ", asked);
    for (int i = kMostAxes - placement.axes; i < kMostAxes; ++i) {
      const Axis axis = placement.At(place, i);
      const Range taps = axis.TapsInside(0);
      check.That(
          0 <= taps.begin && taps.begin <= taps.end && taps.end <= axis.patch,
          "taps inside, at ", at, ", ", asked);
      for (const int64_t tap : {int64_t{0}, axis.patch - 1}) {
        const Int128 pixel = Int128{at} + Int128{tap} * axis.rate;
        check.That(axis.Pixel(0, tap) == pixel, "at ", at, ", ", asked);
        const bool is_inside = 0 <= pixel && pixel < axis.image;
        check.That(is_inside == (taps.begin <= tap && tap < taps.end),
                   "whether inside, at ", at, ", ", asked);
        if (axis.image == 0 && axis.border != Border::kConstant) continue;
        const int64_t source = axis.Source(axis.Pixel(0, tap));
        check.That(is_inside || axis.border != Border::kConstant
                       ? 0 <= source && source < axis.image
                       : source < 0,
                   "what is seen, at ", at, ", ", asked, ": ", source);
      }
    }
  }
}

}  // namespace

void TestPlacements(Check& check) {
  Placement placement;
  check.That(!MakePlacement({2, 5, 6, 7, 4}, 3,
                            {{1, 2, 3}, {6, 5, 4}, Border::kEdge}, &placement),
             "a volume");
  check.That(placement.image_shape() == Shape{2, 5, 6, 7, 4}, "its images");
  check.That(placement.patches_shape() == Shape{2, 3, 1, 2, 3, 4},
             "its patches");
  check.Equal(placement.patch_rows(), int64_t{2}, "its patches' rows");
  check.Equal(placement.image_rows(), int64_t{60}, "its rows");
  check.Equal(placement.patch_count(), int64_t{6}, "its patches");
  placement.places.resize(6);
  placement.places[4].position = {-1, 20, 3};
  const Place& place = placement.PlaceOf(4);
  check.That(&place == &placement.places[4], "a place of each patch");
  const Axis cols = placement.At(place, 2);
  check.Equal(cols.Pixel(0, 2), int64_t{11}, "the last column");
  check.Equal(cols.Source(11), int64_t{6}, "what is seen there");
  check.Equal(placement.At(place, 0).Source(-1), int64_t{0}, "the plane");

  check.That(!MakePlacement({2, 9, 4}, 3, {{5}, {1}}, &placement), "a signal");
  check.That(placement.image_shape() == Shape{2, 9, 4}, "its images");
  check.That(placement.patches_shape() == Shape{2, 3, 5, 4}, "its patches");
  placement.places.resize(3);
  check.That(&placement.PlaceOf(4) == &placement.places[1],
             "places for all images");
}

bool HostilePlacementCase(Check& check, Random& random) {
  const int axes =
      random.OneIn(30) ? random.Of({0, 4, 9}) : random.Of({1, 2, 2, 3});
  Asked asked;
  asked.attributes = {HostileList(random, axes), HostileList(random, axes),
                      kBorders[random.Between(0, 4)]};
  const std::optional<Error> error = CheckPlacement(asked.attributes);
  if (const auto refusal = RefuseAttributes(asked.attributes)) {
    CheckRefusal(check, error, *refusal,
                 "sizes " + Printed(asked.attributes.sizes) + ", rates " +
                     Printed(asked.attributes.rates));
    return false;
  }
  check.That(!error, asked, " were refused: ", error ? error->message : "");
  asked.images.resize(asked.attributes.sizes.size() + 2);
  MostlySmallDims(random, &asked.images);
  asked.count = random.Of<int64_t>({0, 1, 5, 1 << 20, kMax32, kMax64 / 16});
  Placement placement;
  const std::optional<Error> misplaced =
      MakePlacement(asked.images, asked.count, asked.attributes, &placement);
  check.That(!misplaced == CanBePlaced(asked), "whether valid: ", asked,
             misplaced ? misplaced->message : "");
  if (misplaced) {
    check.That(misplaced->kind == ErrorKind::kInvalidArgument, asked);
    return false;
  }
  CheckFurthest(check, random, asked, placement);
  return true;
}

void TestHostilePlacements(Check& check) {
  int64_t accepted = 0;
  ForEachSeed(4 * check.cases(), [&](Random& random) {
    accepted += HostilePlacementCase(check, random);
  });
  check.That(accepted > check.cases() / 10, "accepted only ", accepted);
}

void TestPlacementMessages(Check& check) {
  const auto refused = [&](const std::optional<Error>& error,
                           const std::vector<std::string>& told) {
    CheckRefusal(check, error, {ErrorKind::kInvalidArgument, told},
                 "a bad request");
  };
  Placement placement;
  refused(MakePlacement({1, 4, -2, 1}, 1, {{1, 1}, {1, 1}}, &placement),
          {"image_shape", "negative", "[1, 4, -2, 1]"});
  refused(MakePlacement({1, 0, 4, 1}, 1, {{1, 1}, {1, 1}, Border::kWrap},
                        &placement),
          {"shape [1, 0, 4, 1]", "no pixels", "mode CONSTANT"});
  refused(MakePlacement({1, 4, 4, 60000}, 1, {{200, 300}, {1, 1}}, &placement),
          {"sizes", "[200, 300]", "depth 60000", "2147483647"});
  refused(MakePlacement({1LL << 40, 1LL << 30, 1}, 1, {{1}, {1}}, &placement),
          {"Images of shape [1099511627776, 1073741824, 1]", "addressed"});
  refused(MakePlacement({1, 0, kMax64, 1}, 1, {{1, 1}, {1, 1}}, &placement),
          {"Images of shape [1, 0, " + std::to_string(kMax64), "addressed"});
  refused(MakePlacement({1, 9, 1}, 1LL << 50, {{1 << 20}, {1}}, &placement),
          {"Images of shape [1, 9, 1]", "[1, 1125899906842624, 1048576, 1]"});
  refused(CheckPlacement({{}, {}}), {"sizes", "1 to 3 integers", "[]"});
  refused(CheckPlacement({{2, 2}, {1}}), {"rates", "sizes has 2", "[1]"});

  // Positions: just within what can be counted, and just beyond.
  check.That(!MakePlacement({2, 4, 4, 1}, 3, {{1, 1}, {1, 1}}, &placement),
             "sound images");
  placement.places.resize(6);
  for (const int64_t at : {kBeyond - 1, 1 - kBeyond}) {
    placement.places[4].position[2] = at;
    check.That(!CheckPlaces(placement), "a patch at ", at);
  }
  for (const int64_t at : {kBeyond, -kBeyond, kMin64, kMax64}) {
    placement.places[4].position[2] = at;
    refused(CheckPlaces(placement),
            {"positions", "2^62", "patch 1 of image 1", std::to_string(at)});
  }

  refused(WrongPositions(2, "[7]"),
          {"positions", "[count, 2]", "[batch, count, 2]", "[rows, cols]",
           "shape [7]"});
  refused(WrongPositions(1, "[7]"), {"[count, 1]", "[cols]"});
  refused(WrongFlips("[5,2]", "[4,2]"), {"flips", "[5,2]", "shape [4,2]"});
  refused(WrongPlacedPatches(3, "[4]"),
          {"patches", "6-dimensional",
           "[batch, count, planes, rows, cols, depth]", "shape [4]"});
  refused(WrongWeights({2, 3}, "[6]"), {"weights", "[2, 3]", "shape [6]"});
  refused(WrongProfiles({2, 3}, "[6]"), {"weights", "5]", "shape [6]"});
}

}  // namespace tf_patches
