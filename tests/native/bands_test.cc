// The bands that a fold is planned in against the geometry, column by column.
#include "kernels/bands.h"

#include <algorithm>
#include <vector>

#include "geometry/axis.h"
#include "native/check.h"
#include "native/random.h"
#include "native/requests.h"
#include "native/tests.h"

namespace tf_patches {
namespace {

using Taps = std::vector<Tap>;

// The taps over each of `cols`, as the bands tell; counts those told twice.
std::vector<Taps> TapsOf(const std::vector<Band>& bands, Range cols,
                         int64_t stride, int64_t* twice) {
  std::vector<Taps> taps(cols.size());
  std::vector<bool> told(cols.size());
  for (const Band& band : bands) {
    for (int64_t n = 0; n < band.repeats; ++n) {
      for (int64_t i = 0; i < band.pixels; ++i) {
        const int64_t at = band.col - cols.begin + n * stride + i;
        *twice += told[at];
        told[at] = true;
        for (const Tap& tap : band.taps) {
          taps[at].push_back({tap.index + n, tap.tap + i});
        }
      }
    }
  }
  return taps;
}

bool Same(const Taps& a, const Taps& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Tap& a, const Tap& b) {
                      return a.index == b.index && a.tap == b.tap;
                    });
}

Axis AnyAxis(Random& random) {
  const int64_t image = random.Between(1, 3000);
  const int64_t stride =
      random.Of<int64_t>({1, 2, random.Between(1, 9), random.Between(1, 40)});
  const AxisSpec spec = {
      random.Of<int64_t>(
          {1, stride, random.Between(1, 9), random.Between(1, 70)}),
      stride, random.Of<int64_t>({1, 1, 2, 3, random.Between(1, 12)})};
  Axis axis;
  const Border border =
      random.Of({Border::kConstant, Border::kConstant, Border::kReflect,
                 Border::kSymmetric, Border::kEdge, Border::kWrap});
  MakeAxis("cols", image, spec, Padding::kSame, border, &axis);
  if (random.OneIn(2)) axis.pad_before = 0;  // as with VALID
  return axis;
}

}  // namespace

void BandsCase(Check& check, Random& random) {
  const Axis axis = AnyAxis(random);
  const int64_t begin = random.OneIn(2) ? 0 : random.Between(0, axis.image - 1);
  const Range cols = {begin, random.OneIn(2)
                                 ? axis.image
                                 : random.Between(begin + 1, axis.image)};
  const std::vector<Band> bands = FindBands(axis, cols);
  int64_t twice = 0;
  const std::vector<Taps> taps = TapsOf(bands, cols, axis.stride, &twice);
  check.Equal(twice, int64_t{0}, "columns told twice of ", axis);
  for (int64_t col = cols.begin; col < cols.end; ++col) {
    check.That(Same(taps[col - cols.begin], axis.TapsOver(col)), "column ", col,
               " of ", cols.begin, " to ", cols.end, ", ", axis);
  }
  // However wide the image is: some at either border, and one turn of them.
  const int64_t most = 3 * (axis.EffectiveSize() + axis.stride) + 2;
  check.That(static_cast<int64_t>(bands.size()) <= most, bands.size(),
             " bands of ", axis);
}

void TestBands(Check& check) {
  ForEachSeed(check.cases(), [&](Random& random) { BandsCase(check, random); });
}

}  // namespace tf_patches
