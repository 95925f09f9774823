// ShufflePlan against a loop over single bytes.
#include "kernels/shuffle_plan.h"

#include <string>

#include "kernels/instructions.h"
#include "native/buffer.h"
#include "native/check.h"
#include "native/random.h"
#include "native/requests.h"
#include "native/tests.h"
#include "native/walk.h"

namespace tf_patches {
namespace {

AxisSpec AnyAxis(Random& random) {
  return {random.Between(1, 5), random.Between(1, 4),
          random.Of<int64_t>({1, 1, 2, 3})};
}

Request SmallPatchesRequest(Random& random) {
  return {
      {1, random.Between(1, 12), random.Between(1, 200), random.Between(1, 6)},
      {AnyAxis(random), AnyAxis(random), Padding::kValid}};
}

}  // namespace

// Rows of patches in memory that ends with the last pixel and the last patch.
void TestShufflePlans(Check& check) {
  constexpr int64_t kMany = 1 << 24;  // images, so that planning always pays
  Random random(1);
  int64_t copied = 0;
  for (int64_t n = check.cases(); n > 0; --n) {
    const Request request = SmallPatchesRequest(random);
    PatchGrid grid;
    if (MakePatchGrid(request.images, request.spec, &grid)) continue;
    Buffer images(grid.image_rows() * grid.cols.image * grid.depth, 0, 0);
    FillWithBytes(random, &images);
    std::string expected;
    ForEachTap(request, [&](int64_t, int64_t pixel) {
      expected.append(images.data() + pixel * grid.depth, grid.depth);
    });
    const int64_t row_bytes = grid.cols.count * grid.patch_depth();
    PatchGrid many = grid;
    many.batch = kMany;
    const ShufflePlan plan(many, grid.depth);
    for (int64_t row = 0; row < grid.rows.count; ++row) {
      Buffer patches(row_bytes, random.Between(0, 17), 0);
      const int64_t done = plan.Copy(
          grid.cols.count,
          images.data() + grid.rows.Start(row) * grid.cols.image * grid.depth,
          images.data() + images.size(), patches.data());
      const int64_t bytes = done * grid.patch_depth();
      check.That(
          expected.compare(row * row_bytes, bytes, patches.data(), bytes) == 0,
          "wrong in row ", row, " of ", request);
      check.That(patches.UntouchedBut(0, bytes), "too much in row ", row,
                 " of ", request);
      copied += done;
    }
  }
  check.Equal(copied > 0, MayUse(Instructions::kSsse3), "patches copied");
}

}  // namespace tf_patches
