// The bands that a fold is planned in against the geometry, column by column.
#include <vector>

#include "geometry/patch_grid.h"
#include "kernels/fold_gather.h"
#include "native/check.h"
#include "native/random.h"
#include "native/tests.h"

namespace tf_patches {
namespace {

// The patches over each of `cols`, as the bands tell; counts those told twice.
std::vector<Cover> CoversOf(const std::vector<Band>& bands, Range cols,
                            int64_t stride, int64_t* twice) {
  const Cover untold = {0, 0, -1, 0, 0};
  std::vector<Cover> covers(cols.size(), untold);
  for (const Band& band : bands) {
    for (int64_t n = 0; n < band.repeats; ++n) {
      for (int64_t i = 0; i < band.pixels; ++i) {
        Cover& cover = covers[band.col - cols.begin + n * stride + i];
        *twice += cover.count >= 0;
        cover = band.cover;
        cover.index += n;
        cover.tap += i;
      }
    }
  }
  return covers;
}

bool Same(const Cover& a, const Cover& b) {
  if (a.count != b.count) return false;
  return a.count == 0 || (a.index == b.index && a.tap == b.tap);
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
  MakeAxis("cols", image, spec, Padding::kSame, &axis);
  if (random.OneIn(2)) axis.pad_before = 0;  // as with VALID
  return axis;
}

}  // namespace

void TestBands(Check& check) {
  for (int64_t seed = 0; seed < check.cases(); ++seed) {
    Random random(seed);
    const Axis axis = AnyAxis(random);
    const int64_t begin =
        random.OneIn(2) ? 0 : random.Between(0, axis.image - 1);
    const Range cols = {begin, random.OneIn(2)
                                   ? axis.image
                                   : random.Between(begin + 1, axis.image)};
    const std::vector<Band> bands = BandFinder(axis, cols).Find();
    int64_t twice = 0;
    const std::vector<Cover> covers =
        CoversOf(bands, cols, axis.stride, &twice);
    check.Equal(twice, int64_t{0}, "columns told twice, seed ", seed);
    for (int64_t col = cols.begin; col < cols.end; ++col) {
      check.That(Same(covers[col - cols.begin], axis.Over(col)), "column ", col,
                 " of ", cols.begin, " to ", cols.end, ", seed ", seed);
    }
    // However wide the image is: some at either border, and one turn of them.
    const int64_t most = 3 * (axis.EffectiveSize() + axis.stride) + 2;
    check.That(static_cast<int64_t>(bands.size()) <= most, bands.size(),
               " bands, seed ", seed);
  }
}

}  // namespace tf_patches
