// Patches at given positions, extracted and folded, against loops that walk to
// every pixel.
#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "geometry/placement.h"
#include "kernels/extract_at.h"
#include "kernels/fold_at.h"
#include "native/buffer.h"
#include "native/check.h"
#include "native/naive_fold.h"
#include "native/shares.h"
#include "native/tests.h"
#include "native/values.h"
#include "native/walk.h"

namespace tf_patches {

std::ostream& operator<<(std::ostream& out, const Placement& placement) {
  constexpr size_t kTold = 5;
  out << "images " << ToString(placement.image_shape()) << ", patches "
      << ToString(placement.patches_shape()) << ", border "
      << static_cast<int>(placement.axis[2].border) << ", rates";
  for (const Axis& axis : placement.axis) out << " " << axis.rate;
  for (size_t n = 0; n < std::min(kTold, placement.places.size()); ++n) {
    out << ", at";
    for (int i = 0; i < kMostAxes; ++i) {
      const Place& place = placement.places[n];
      out << " " << place.position[i] << (place.is_flipped[i] ? "'" : "");
    }
  }
  return out;
}

namespace {

// ---- Where patches lie.

constexpr int64_t kFurthest = (int64_t{1} << 62) - 1;

// As Placement has it, by walking. `visit(tap, pixel)` has the number of a
// pixel of a patch as patches are stored, and the pixel of the images that it
// shows, -1 where that is the constant.
template <typename Visit>
void ForEachPlacedTap(const Placement& placement, const Visit& visit) {
  const auto& [planes, rows, cols] = placement.axis;
  int64_t stored = 0;
  for (int64_t n = 0; n < placement.batch * placement.count; ++n) {
    const size_t each = placement.places.size();
    const Place& place = placement.places[n % each];
    std::array<std::vector<int64_t>, kMostAxes> seen;
    for (int i = 0; i < kMostAxes; ++i) {
      const Axis& axis = placement.axis[i];
      for (int64_t tap = 0; tap < axis.patch; ++tap) {
        seen[i].push_back(WalkTo(place.position[i] + tap * axis.rate,
                                 axis.image, axis.border));
      }
      if (place.is_flipped[i]) std::reverse(seen[i].begin(), seen[i].end());
    }
    for (const int64_t z : seen[0]) {
      for (const int64_t y : seen[1]) {
        for (const int64_t x : seen[2]) {
          const int64_t plane = n / placement.count * planes.image + z;
          const int64_t pixel = (plane * rows.image + y) * cols.image + x;
          visit(stored++, std::min({x, y, z}) < 0 ? -1 : pixel);
        }
      }
    }
  }
}

Border AnyBorder(Random& random) {
  return random.Of({Border::kConstant, Border::kConstant, Border::kReflect,
                    Border::kSymmetric, Border::kEdge, Border::kWrap});
}

int64_t AnyPosition(Random& random, const Axis& axis) {
  if (random.OneIn(40)) {
    return random.Of<int64_t>({-kFurthest, kFurthest,
                               random.Between(-kFurthest, -1),
                               random.Between(0, kFurthest)});
  }
  const int64_t span = axis.EffectiveSize();
  const int64_t inside = std::max<int64_t>(0, axis.image - span);
  return random.Of<int64_t>(
      {random.Between(0, inside), random.Between(0, inside),
       random.Between(-span, axis.image), random.Between(-span, axis.image),
       random.Between(-3 * axis.image, 3 * axis.image)});
}

// The same for all images, or for each image others.
void PlaceAnywhere(Random& random, Placement* placement) {
  const int64_t images = random.OneIn(2) ? 1 : placement->batch;
  const bool may_flip = random.OneIn(2);
  placement->places.resize(images * placement->count);
  for (Place& place : placement->places) {
    for (int i = kMostAxes - placement->axes; i < kMostAxes; ++i) {
      place.position[i] = AnyPosition(random, placement->axis[i]);
      place.is_flipped[i] = may_flip && random.OneIn(2);
    }
  }
}

struct Spec {
  Shape images;
  int64_t count;
  std::vector<int64_t> sizes;
  std::vector<int64_t> rates;
  Border border = Border::kConstant;
};

Placement Placed(Check& check, Random& random, const Spec& spec) {
  Placement placement;
  const auto error =
      MakePlacement(spec.images, spec.count,
                    {spec.sizes, spec.rates, spec.border}, &placement);
  check.That(!error, error ? error->message : "");
  PlaceAnywhere(random, &placement);
  const auto wrong_place = CheckPlaces(placement);
  check.That(!wrong_place, wrong_place ? wrong_place->message : "");
  return placement;
}

Spec AnySpec(Random& random) {
  Spec spec;
  const int axes = random.Of({1, 2, 2, 3});
  spec.images = {random.Between(1, 3)};
  for (int i = 0; i < axes; ++i) {
    const int64_t image = random.Of<int64_t>(
        {1, random.Between(1, 6), random.Between(1, 6), random.Between(1, 24)});
    const int64_t size = random.Of<int64_t>(
        {1, random.Between(1, 5), random.Between(1, 5), image});
    const bool is_last = i == axes - 1;
    spec.images.push_back(is_last && random.OneIn(4) ? random.Between(60, 250)
                                                     : image);
    spec.sizes.push_back(is_last && random.OneIn(4) ? random.Between(1, 40)
                                                    : size);
    spec.rates.push_back(
        random.OneIn(30) ? kInt32Max / spec.sizes.back()
                         : random.Of<int64_t>({1, 1, 2, random.Between(1, 7)}));
  }
  spec.images.push_back(
      random.Of<int64_t>({1, 1, 2, 3, 4, 8, random.Between(1, 33)}));
  spec.count = random.Of<int64_t>({1, 2, random.Between(1, 9)});
  spec.border = AnyBorder(random);
  return spec;
}

// Calls `visit(placement, random)` with many small ones.
template <typename Visit>
void ForEachPlacement(Check& check, int64_t cases, const Visit& visit) {
  for (int64_t seed = 0; seed < cases; ++seed) {
    Random random(seed);
    const Placement placement = Placed(check, random, AnySpec(random));
    visit(placement, random);
  }
}

int64_t PatchPixels(const Placement& placement) {
  return placement.patch_rows() * placement.axis[2].patch;
}

// ---- Extraction.

void CheckExtractAt(Check& check, Random& random, const Placement& placement,
                    int64_t element_bytes, CheckTrial* check_trial) {
  const int64_t pixel_bytes = placement.depth * element_bytes;
  Buffer images(placement.image_rows() * placement.axis[2].image * pixel_bytes,
                random.Between(0, 17), 0);
  FillWithBytes(random, &images);
  const bool is_given = !random.OneIn(3);
  std::string constant(element_bytes, 0);
  for (char& byte : constant) byte = is_given ? random.Between(0, 9) : 0;
  const int64_t patch_bytes = PatchPixels(placement) * pixel_bytes;
  std::vector<char> expected(placement.patch_count() * patch_bytes);
  ForEachPlacedTap(placement, [&](int64_t tap, int64_t pixel) {
    for (int64_t i = 0; i < pixel_bytes; ++i) {
      expected[tap * pixel_bytes + i] =
          pixel < 0 ? constant[i % element_bytes]
                    : images.data()[pixel * pixel_bytes + i];
    }
  });
  const Plan plan =
      PlanExtractionAt(placement, element_bytes, is_given ? constant : "");
  check.Equal(plan.units, placement.patch_count(), "units of ", placement);
  check_trial(check, random,
              {[&](std::ostream& out) {
                 out << element_bytes << "-byte elements, " << placement;
               },
               expected, plan.units,
               [=](int64_t patch) { return patch * patch_bytes; }, 1,
               [&](Range which, char* output) {
                 plan.run(images.data(), which, output);
               }});
}

int64_t AnyElementBytes(Random& random) {
  return random.Of<int64_t>({1, 2, 4, 8, 16});
}

// ---- Folding.

// What patches are weighted with; what it has, it points to.
template <typename T>
struct AnyWeights {
  AnyWeights(Random& random, const Placement& placement, bool may_be_special)
      : placement(placement) {
    const std::array<Axis, kMostAxes>& axis = placement.axis;
    for (int i = kMostAxes - placement.axes; i < kMostAxes; ++i) {
      factors += axis[i].patch;
    }
    const bool is_window = random.OneIn(3);
    weights.has_profile_each = !is_window && random.OneIn(2);
    const int64_t patches = weights.has_profile_each ? placement.count : 1;
    numbers.resize(is_window ? PatchPixels(placement) : patches * factors);
    const bool are_units = random.OneIn(3);  // so that sums become zero
    for (T& number : numbers) {
      const auto values =
          is_window && may_be_special ? Values::kSpecial : Values::kMixed;
      number = are_units || random.OneIn(4) ? DrawUnit<T>(random)
                                            : Draw<T>::Value(random, values);
    }
    (is_window ? weights.window : weights.profiles) = numbers.data();
  }

  // The weight of a tap, counted over all patches.
  Wide<T> operator()(int64_t stored) const {
    const auto& [planes, rows, cols] = placement.axis;
    const int64_t pixels = PatchPixels(placement);
    if (weights.window != nullptr) {
      return static_cast<Wide<T>>(numbers[stored % pixels]);
    }
    const int64_t patch = stored / pixels % placement.count;
    const T* factor =
        numbers.data() + (weights.has_profile_each ? patch * factors : 0);
    const int64_t taps[] = {stored / (rows.patch * cols.patch) % planes.patch,
                            stored / cols.patch % rows.patch,
                            stored % cols.patch};
    Wide<T> weight(1);
    for (int i = kMostAxes - placement.axes; i < kMostAxes; ++i) {
      weight = Multiply(weight, static_cast<Wide<T>>(factor[taps[i]]));
      factor += placement.axis[i].patch;
    }
    return weight;
  }

  const Placement& placement;
  int64_t factors = 0;  // of a patch
  std::vector<T> numbers;
  Weights weights;
};

struct Type {
  const char* name;
  Number number;
  void (*check)(Check& check, Random& random, const Placement& placement,
                const Type& type, CheckTrial* check_trial);
};

template <typename T>
constexpr bool kIsComplex =
    std::is_same_v<T, Complex<float>> || std::is_same_v<T, Complex<double>>;

template <typename T>
Reduction AnyReduction(Random& random) {
  if (std::is_integral_v<T>) {
    return random.Of({Reduction::kSum, Reduction::kMax, Reduction::kMin});
  }
  if (kIsComplex<T>) return random.Of({Reduction::kSum, Reduction::kMean});
  return random.Of(
      {Reduction::kSum, Reduction::kMean, Reduction::kMax, Reduction::kMin});
}

// Sums of integers are those of T, which has no sign, and wrap around; what is
// compared is of type `Compared`.
template <typename T, typename Compared>
std::vector<char> FoldNaively(const Placement& placement, Reduction reduction,
                              const std::function<Wide<T>(int64_t)>& weigh,
                              const T* patches) {
  const auto for_each_tap = [&](const auto& visit) {
    ForEachPlacedTap(placement, visit);
  };
  const int64_t pixels = placement.image_rows() * placement.axis[2].image;
  if constexpr (!kIsComplex<T>) {
    if (IsExtreme(reduction)) {
      const auto* const values = reinterpret_cast<const Compared*>(patches);
      return NaiveFold(pixels, placement.depth, values, for_each_tap)
          .Most(reduction == Reduction::kMax);
    }
  }
  const NaiveFold naive(pixels, placement.depth, patches, for_each_tap);
  const bool is_mean = reduction == Reduction::kMean;
  return is_mean || weigh ? naive.WeightedSum(weigh, is_mean) : naive.Sum();
}

template <typename T, typename Compared = T>
void CheckFoldAt(Check& check, Random& random, const Placement& placement,
                 const Type& type, CheckTrial* check_trial) {
  const Reduction reduction = AnyReduction<T>(random);
  const AnyWeights<T> drawn(random, placement, !kIsComplex<T>);
  const bool is_weighted = !IsExtreme(reduction) && !random.OneIn(4);
  const Weights weights = is_weighted ? drawn.weights : Weights();
  const auto weigh =
      is_weighted ? std::function<Wide<T>(int64_t)>(std::cref(drawn)) : nullptr;

  const int64_t patch_values =
      placement.patch_count() * PatchPixels(placement) * placement.depth;
  Buffer buffer(patch_values * sizeof(T), sizeof(T) * random.Between(0, 17), 0);
  T* const patches = reinterpret_cast<T*>(buffer.data());
  const Values values = random.Of({Values::kMixed, Values::kSpecial});
  std::generate_n(patches, patch_values,
                  [&] { return Draw<T>::Value(random, values); });

  const Plan plan = PlanFoldingAt(placement, type.number, reduction, weights);
  const Parts<T> parts(placement.axis[2].image, placement.depth);
  check.Equal(plan.units, placement.image_rows() * parts.count, "units of ",
              placement);
  check_trial(
      check, random,
      {[&](std::ostream& out) {
         out << type.name << ", reduction " << static_cast<int>(reduction)
             << (weights.window != nullptr     ? ", a window"
                 : weights.profiles == nullptr ? ", no weights"
                 : weights.has_profile_each    ? ", profiles for each"
                                               : ", profiles for all")
             << ", " << placement;
       },
       FoldNaively<T, Compared>(placement, reduction, weigh, patches),
       plan.units, [=](int64_t unit) { return parts.Begin(unit); }, sizeof(T),
       [&](Range which, char* output) { plan.run(patches, which, output); }});
}

constexpr Type kTypes[] = {
    {"bfloat16", Number::kBFloat16, CheckFoldAt<BFloat16>},
    {"half", Number::kHalf, CheckFoldAt<Half>},
    {"float", Number::kFloat, CheckFoldAt<float>},
    {"double", Number::kDouble, CheckFoldAt<double>},
    {"complex64", Number::kComplexFloat, CheckFoldAt<Complex<float>>},
    {"complex128", Number::kComplexDouble, CheckFoldAt<Complex<double>>},
    {"int8", Number::kInt8, CheckFoldAt<uint8_t, int8_t>},
    {"int16", Number::kInt16, CheckFoldAt<uint16_t, int16_t>},
    {"int32", Number::kInt32, CheckFoldAt<uint32_t, int32_t>},
    {"int64", Number::kInt64, CheckFoldAt<uint64_t, int64_t>},
    {"uint8", Number::kUint8, CheckFoldAt<uint8_t>},
    {"uint16", Number::kUint16, CheckFoldAt<uint16_t>},
    {"uint32", Number::kUint32, CheckFoldAt<uint32_t>},
    {"uint64", Number::kUint64, CheckFoldAt<uint64_t>},
};

const Type& AnyType(Random& random) {
  return kTypes[random.Between(0, std::size(kTypes) - 1)];
}

}  // namespace

void ExtractAtCase(Check& check, Random& random) {
  const Placement placement = Placed(check, random, AnySpec(random));
  CheckExtractAt(check, random, placement, AnyElementBytes(random),
                 CheckShares);
}

void FoldAtCase(Check& check, Random& random) {
  const Placement placement = Placed(check, random, AnySpec(random));
  const Type& type = AnyType(random);
  type.check(check, random, placement, type, CheckShares);
}

void TestExtractAt(Check& check) {
  ForEachPlacement(check, check.cases() / 3,
                   [&](const Placement& placement, Random& random) {
                     CheckExtractAt(check, random, placement,
                                    AnyElementBytes(random), CheckShares);
                   });
}

// Patches of more rows than are copied at once, and of long ones.
void TestLargeExtractAt(Check& check) {
  Random random(1);
  for (const Border border : {Border::kConstant, Border::kWrap}) {
    for (const Spec& spec : std::vector<Spec>{
             {{2, 40, 12, 3}, 2, {1500, 2}, {1, 3}, border},
             {{1, 30, 33, 9, 1}, 3, {40, 41, 3}, {1, 1, 2}, border},
             {{1, 9, 3001, 2}, 4, {3, 900}, {1, 2}, border},
             {{2, 5000, 1}, 5, {1200}, {1}, border}}) {
      CheckExtractAt(check, random, Placed(check, random, spec),
                     AnyElementBytes(random), CheckShares);
    }
  }
}

void TestExtractAtInThreads(Check& check) {
  ForEachPlacement(check, check.cases() / 20,
                   [&](const Placement& placement, Random& random) {
                     CheckExtractAt(check, random, placement,
                                    AnyElementBytes(random), CheckThreads);
                   });
}

void TestFoldAt(Check& check) {
  ForEachPlacement(check, check.cases() / 2,
                   [&](const Placement& placement, Random& random) {
                     const Type& type = AnyType(random);
                     type.check(check, random, placement, type, CheckShares);
                   });
}

// Lines of several units, and pixels that are more than one block.
void TestFoldAtOfManyBlocks(Check& check) {
  Random random(1);
  for (const Type& type : kTypes) {
    for (Spec spec : std::vector<Spec>{{{1, 2, 17001, 1}, 3, {2, 700}, {1, 2}},
                                       {{1, 700, 33}, 5, {150}, {1}},
                                       {{1, 3, 17001}, 2, {2}, {1}}}) {
      spec.border = AnyBorder(random);
      type.check(check, random, Placed(check, random, spec), type, CheckShares);
    }
  }
}

// An image without patches is all zeros.
void TestFoldAtOfNothing(Check& check) {
  Random random(1);
  for (const Type& type : kTypes) {
    for (const Border border : {Border::kConstant, Border::kReflect}) {
      type.check(
          check, random,
          Placed(check, random, {{2, 3, 5, 3}, 0, {2, 2}, {1, 1}, border}),
          type, CheckShares);
    }
  }
}

void TestFoldAtInThreads(Check& check) {
  ForEachPlacement(check, check.cases() / 20,
                   [&](const Placement& placement, Random& random) {
                     const Type& type = AnyType(random);
                     type.check(check, random, placement, type, CheckThreads);
                   });
}

}  // namespace tf_patches
