// Folding against a loop over single values, axis by axis, with the sums of
// kernels/number.h (which number_test.cc checks).
#include "kernels/fold.h"

#include <sys/mman.h>

#include <algorithm>
#include <functional>
#include <type_traits>
#include <vector>

#include "kernels/fold_weighted.h"
#include "kernels/number.h"
#include "native/buffer.h"
#include "native/check.h"
#include "native/flushed_subnormals.h"
#include "native/naive_fold.h"
#include "native/requests.h"
#include "native/shares.h"
#include "native/tests.h"
#include "native/values.h"
#include "native/walk.h"

namespace tf_patches {

namespace {

// Any bits, so any NaN, only where no pixel sums more than one value.
Values AnyValues(Random& random, const PatchGrid& grid) {
  const auto apart = [](const Axis& axis) {
    return axis.stride >= axis.EffectiveSize() &&
           axis.border == Border::kConstant;
  };
  if (std::all_of(grid.axis.begin(), grid.axis.end(), apart)) {
    return Values::kArbitrary;
  }
  return random.Of({Values::kMixed, Values::kSpecial});
}

struct Type {
  const char* name;
  Number number;
  void (*check)(Check& check, Random& random, const Request& request,
                const Type& type, CheckTrial* check_trial);
};

template <typename T>
void CheckFold(Check& check, Random& random, const Request& request,
               const Type& type, CheckTrial* check_trial) {
  PatchGrid grid;
  check.That(!MakePatchGrid(request.images, request.spec, &grid), request);
  const int64_t patch_values = grid.patch_count() * grid.patch_depth();
  const int64_t image_values =
      grid.image_rows() * grid.cols().image * grid.depth;
  Buffer buffer(patch_values * sizeof(T), sizeof(T) * random.Between(0, 17), 0);
  T* const patches = reinterpret_cast<T*>(buffer.data());
  const Values values = AnyValues(random, grid);
  std::generate_n(patches, patch_values,
                  [&] { return Draw<T>::Value(random, values); });

  const int64_t before = AnyImagesBefore(random, grid);
  const int64_t patch_values_before = before * (patch_values / grid.batch);
  const int64_t image_values_before = before * (image_values / grid.batch);
  const int64_t batch = grid.batch;
  grid.batch += before;
  const Plan plan = PlanFolding(grid, type.number);
  const int64_t units_before = plan.units / grid.batch * before;
  // A unit is a part of a row, of pixels as the reduced grid has them.
  const PatchGrid reduced = grid.Reduced();
  const int64_t cols = reduced.cols().image;
  const int64_t parts = plan.units / reduced.image_rows();
  const int64_t width = (cols - 1) / parts + 1;
  const auto begin = [=](int64_t unit) {
    const int64_t col = std::min(cols, unit % parts * width);
    return static_cast<int64_t>(sizeof(T)) * (unit / parts * cols + col) *
           reduced.depth;
  };
  const auto for_each_tap = [&](const auto& visit) {
    ForEachTap(request, visit);
  };
  const NaiveFold naive(image_values / request.depth(), request.depth(),
                        patches, for_each_tap);
  check_trial(check, random,
              {[&](std::ostream& out) { out << type.name << ", " << request; },
               naive.Sum(), plan.units / grid.batch * batch, begin, sizeof(T),
               [&](Range which, char* output) {
                 plan.run(
                     patches - patch_values_before,
                     {which.begin + units_before, which.end + units_before},
                     reinterpret_cast<T*>(output) - image_values_before);
               }});
}

// A window on the patches, a mean, or both. What comes after the sums of a mean
// without weights changes images that a first plan has made.
template <typename T>
void CheckWeightedFold(Check& check, Random& random, const Request& request,
                       const Type& type, CheckTrial* check_trial) {
  PatchGrid grid;
  check.That(!MakePatchGrid(request.images, request.spec, &grid), request);
  const int64_t depth = request.depth();
  const int64_t patch_pixels = request.spec.patch_pixels();
  const bool is_mean = !std::is_integral_v<T> && random.OneIn(2);
  const bool is_weighted = !is_mean || random.OneIn(2);
  std::vector<T> window(patch_pixels);
  for (T& weight : window) {
    weight = random.OneIn(3) ? DrawUnit<T>(random)
                             : Draw<T>::Value(random, Values::kMixed);
  }
  Weights weights;
  if (is_weighted) weights.window = window.data();
  const auto weigh = [&](int64_t tap) {
    return static_cast<Wide<T>>(window[tap % patch_pixels]);
  };

  const int64_t patch_values = grid.patch_count() * grid.patch_depth();
  Buffer buffer(patch_values * sizeof(T), sizeof(T) * random.Between(0, 17), 0);
  T* const patches = reinterpret_cast<T*>(buffer.data());
  const Values values = random.Of({Values::kMixed, Values::kSpecial});
  std::generate_n(patches, patch_values,
                  [&] { return Draw<T>::Value(random, values); });
  const auto for_each_tap = [&](const auto& visit) {
    ForEachTap(request, visit);
  };
  const int64_t cols = grid.cols().image;
  const NaiveFold naive(grid.image_rows() * cols, depth, patches, for_each_tap);

  const Parts<T> parts(cols, depth);
  const Reduction reduction = is_mean ? Reduction::kMean : Reduction::kSum;
  const std::vector<Plan> plans =
      PlanWeightedFolding(grid, type.number, reduction, weights);
  const Plan& last = plans.back();
  std::vector<T> sums;
  if (plans.size() > 1) {
    sums.resize(grid.image_rows() * cols * depth);
    plans[0].run(patches, {0, plans[0].units}, sums.data());
  }
  const int64_t line = cols * depth;
  const auto begin = [&](int64_t unit) {
    return plans.size() > 1 ? unit * line * static_cast<int64_t>(sizeof(T))
                            : parts.Begin(unit);
  };
  check_trial(
      check, random,
      {[&](std::ostream& out) {
         out << type.name << (is_mean ? ", mean" : ", sum")
             << (is_weighted ? ", weighted, " : ", ") << request;
       },
       naive.WeightedSum(
           is_weighted ? std::function<Wide<T>(int64_t)>(weigh) : nullptr,
           is_mean),
       last.units, begin, sizeof(T),
       [&](Range which, char* output) {
         if (plans.size() > 1) {
           std::copy_n(sums.data() + which.begin * line, which.size() * line,
                       reinterpret_cast<T*>(output) + which.begin * line);
         }
         last.run(patches, which, output);
       }});
}

constexpr Type kHalf = {"half", Number::kHalf, CheckFold<Half>};
constexpr Type kFloat = {"float", Number::kFloat, CheckFold<float>};
constexpr Type kInt8 = {"int8", Number::kInt8, CheckFold<uint8_t>};

constexpr Type kTypes[] = {
    {"bfloat16", Number::kBFloat16, CheckFold<BFloat16>},
    kHalf,
    kFloat,
    {"double", Number::kDouble, CheckFold<double>},
    {"complex64", Number::kComplexFloat, CheckFold<Complex<float>>},
    {"complex128", Number::kComplexDouble, CheckFold<Complex<double>>},
    kInt8,
    {"int16", Number::kInt16, CheckFold<uint16_t>},
    {"int32", Number::kInt32, CheckFold<uint32_t>},
    {"int64", Number::kInt64, CheckFold<uint64_t>},
};

const Type& AnyType(Random& random) {
  return kTypes[random.Between(0, std::size(kTypes) - 1)];
}

constexpr Type kWeightedTypes[] = {
    {"bfloat16", Number::kBFloat16, CheckWeightedFold<BFloat16>},
    {"half", Number::kHalf, CheckWeightedFold<Half>},
    {"float", Number::kFloat, CheckWeightedFold<float>},
    {"double", Number::kDouble, CheckWeightedFold<double>},
    {"complex64", Number::kComplexFloat, CheckWeightedFold<Complex<float>>},
    {"complex128", Number::kComplexDouble, CheckWeightedFold<Complex<double>>},
    {"int8", Number::kInt8, CheckWeightedFold<uint8_t>},
    {"int16", Number::kInt16, CheckWeightedFold<uint16_t>},
    {"int32", Number::kInt32, CheckWeightedFold<uint32_t>},
    {"uint64", Number::kUint64, CheckWeightedFold<uint64_t>},
};

const Type& AnyWeightedType(Random& random) {
  return kWeightedTypes[random.Between(0, std::size(kWeightedTypes) - 1)];
}

void CheckWeightedFolds(Check& check, int64_t n, CheckTrial* check_trial) {
  ForEachRequest(check.cases() / 2,
                 [&](const Request& request, Random& random) {
                   if (!random.OneIn(n)) return;
                   const Type& type = AnyWeightedType(random);
                   type.check(check, random, request, type, check_trial);
                 });
}

// A few pixels under a patch of 8 GiB, of which only their values are read: the
// work does not grow with the taps, whatever the stride.
void CheckFoldOfHugePatch(Check& check, int64_t rows, const AxisSpec& down) {
  const Request request = Flat({1, rows, 1, 1}, down, {}, Padding::kSame);
  PatchGrid grid;
  check.That(!MakePatchGrid(request.images, request.spec, &grid), request);
  check.Equal(grid.rows().count, int64_t{1}, request);
  const size_t bytes = down.size * sizeof(double);
  void* const zeros = mmap(nullptr, bytes, PROT_READ,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  check.That(zeros != MAP_FAILED, request);
  if (zeros == MAP_FAILED) return;
  std::vector<double> image(rows, 1);
  const Plan plan = PlanFolding(grid, Number::kDouble);
  plan.run(zeros, {0, plan.units}, image.data());
  check.That(image == std::vector<double>(rows), request);
  munmap(zeros, bytes);
}

}  // namespace

void FoldCase(Check& check, Random& random) {
  const Type& type = AnyType(random);
  type.check(check, random, RandomRequest(random), type, CheckShares);
}

void WeightedFoldCase(Check& check, Random& random) {
  const Type& type = AnyWeightedType(random);
  type.check(check, random, RandomRequest(random), type, CheckShares);
}

void TestFold(Check& check) {
  ForEachRequest(check.cases(), [&](const Request& request, Random& random) {
    for (int i = 0; i < 3; ++i) {
      const Type& type = AnyType(random);
      type.check(check, random, request, type, CheckShares);
    }
  });
}

// Patches that overlap, with rows long enough to be added as a whole; the wide
// image in more than one tile.
void TestFoldOfOverlappingRows(Check& check) {
  struct Spec {
    AxisSpec rows;
    AxisSpec cols;
    Padding padding;
    Border border;
  };
  const std::vector<Spec> specs = {
      {{16, 1, 1}, {16, 1, 1}, Padding::kSame, Border::kConstant},
      {{16, 1, 1}, {16, 1, 1}, Padding::kSame, Border::kReflect},
      {{9, 2, 3}, {37, 3, 1}, Padding::kSame, Border::kWrap},
      {{17, 5, 1}, {16, 10, 1}, Padding::kValid, Border::kConstant},
      {{3, 4, 1}, {90, 7, 1}, Padding::kSame, Border::kEdge},
      {{1, 1, 1}, {64, 1, 1}, Padding::kSame, Border::kSymmetric}};
  Random random(1);
  for (const Type& type : kTypes) {
    for (const auto& [rows, cols, padding, border] : specs) {
      const int64_t depth = random.Between(1, 3);
      type.check(check, random,
                 Flat({2, 19, 41, depth}, rows, cols, padding, border), type,
                 CheckShares);
      // Planes that see each other, too.
      type.check(check, random,
                 {{1, 3, 5, 33, depth},
                  {3,
                   {{{4, 1, 1}, rows, cols}},
                   padding == Padding::kValid ? Padding::kSame : padding,
                   border}},
                 type, CheckShares);
    }
  }
  kFloat.check(check, random,
               Flat({1, 30, 3001, 2}, {24, 9, 1}, {16, 5, 1}, Padding::kSame),
               kFloat, CheckShares);
}

// Images larger than most caches, with gaps between the patches; and one of
// pixels that are large themselves.
void TestLargeFold(Check& check) {
  const Request gapped =
      Flat({2, 403, 1501, 7}, {2, 4, 1}, {3, 5, 1}, Padding::kSame);
  Request deep = gapped;
  deep.images = {1, 301, 6, 5003};
  const Request dense =
      Flat({1, 1607, 1501, 7}, {3, 2, 1}, {2, 1, 2}, Padding::kValid);
  const Request volume = {{1, 41, 43, 1201, 7},
                          {3,
                           {{{2, 2, 1}, {3, 3, 1}, {3, 4, 1}}},
                           Padding::kSame,
                           Border::kReflect}};
  Random random(1);
  kFloat.check(check, random, gapped, kFloat, CheckShares);
  kFloat.check(check, random, deep, kFloat, CheckShares);
  kFloat.check(check, random, volume, kFloat, CheckShares);
  kHalf.check(check, random, dense, kHalf, CheckShares);
}

// Images wider than a tile.
void TestFoldOfWideRows(Check& check) {
  const AxisSpec point;
  Random random(1);
  kFloat.check(check, random,
               Flat({1, 3, 17001, 4}, {2, 1, 1}, {17, 3, 1}, Padding::kSame),
               kFloat, CheckShares);
  kInt8.check(check, random,
              Flat({1, 2, 9001, 1}, point, {65, 1, 3}, Padding::kSame), kInt8,
              CheckShares);
  for (const Border border : {Border::kConstant, Border::kReflect}) {
    kFloat.check(check, random,
                 {{2, 70001, 1},
                  {1, {{point, point, {400, 160, 1}}}, Padding::kSame, border}},
                 kFloat, CheckShares);
    kFloat.check(check, random,
                 {{1, 20001, 2},
                  {1, {{point, point, {40, 3, 1}}}, Padding::kSame, border}},
                 kFloat, CheckShares);
  }
}

void TestFoldOfHugePatch(Check& check) {
  constexpr int64_t kTaps = int64_t{1} << 30;
  CheckFoldOfHugePatch(check, 1, {kTaps, 1, 2});
  CheckFoldOfHugePatch(check, 2000, {kTaps, 2001, 2});
  CheckFoldOfHugePatch(check, 2000, {kTaps / 2, kInt32Max, 3});
}

// Half has no use for the subnormal numbers of float.
void TestFoldOfHalfFlushed(Check& check) {
  const auto check_flushed = [](Check& check, Random& random,
                                const Trial& trial) {
    const FlushedSubnormals flushed;
    CheckShares(check, random, trial);
  };
  ForEachRequest(check.cases() / 5,
                 [&](const Request& request, Random& random) {
                   if (!random.OneIn(5)) return;
                   kHalf.check(check, random, request, kHalf, check_flushed);
                 });
}

void TestWeightedFold(Check& check) {
  CheckWeightedFolds(check, 4, CheckShares);
  // Lines of several units, and pixels that are more than one block.
  Random random(1);
  for (const Type& type : kWeightedTypes) {
    type.check(check, random,
               Flat({1, 2, 17001, 1}, {2, 1, 1}, {3, 5, 2}, Padding::kSame),
               type, CheckShares);
    type.check(check, random,
               Flat({1, 2, 3, 17001}, {1, 1, 1}, {2, 1, 1}, Padding::kSame,
                    Border::kReflect),
               type, CheckShares);
  }
}

void TestWeightedFoldInThreads(Check& check) {
  CheckWeightedFolds(check, 15, CheckThreads);
}

void TestFoldInThreads(Check& check) {
  ForEachRequest(check.cases() / 3,
                 [&](const Request& request, Random& random) {
                   if (!random.OneIn(3)) return;
                   const Type& type = AnyType(random);
                   type.check(check, random, request, type, CheckThreads);
                 });
}

}  // namespace tf_patches
