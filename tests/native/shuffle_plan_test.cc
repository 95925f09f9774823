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
  const int64_t planes = random.Of<int64_t>({1, 1, random.Between(1, 4)});
  const int64_t rows = random.Between(1, 12);
  const int64_t cols = random.Between(1, 200);
  const int64_t depth = random.Between(1, 6);
  PatchSpec spec = {3, {}, Padding::kValid, Border::kConstant};
  for (AxisSpec& axis : spec.axis) axis = AnyAxis(random);
  if (planes == 1) spec.axis[0] = {};
  return {{1, planes, rows, cols, depth}, spec};
}

}  // namespace

// Rows of patches in memory that ends with the last pixel and the last patch.
// Returns how many patches the plan copied.
int64_t ShufflePlanCase(Check& check, Random& random) {
  constexpr int64_t kMany = 1 << 24;  // images, so that planning always pays
  int64_t copied = 0;
  const Request request = SmallPatchesRequest(random);
  PatchGrid grid;
  if (MakePatchGrid(request.images, request.spec, &grid)) return 0;
  Buffer images(grid.image_rows() * grid.cols().image * grid.depth, 0, 0);
  FillWithBytes(random, &images);
  std::string expected(grid.patch_count() * grid.patch_depth(), 0);
  ForEachTap(request, [&](int64_t tap, int64_t pixel) {
    expected.replace(tap * grid.depth, grid.depth,
                     images.data() + pixel * grid.depth, grid.depth);
  });
  const int64_t line_bytes = grid.cols().count * grid.patch_depth();
  PatchGrid many = grid;
  many.batch = kMany;
  const ShufflePlan plan(many, grid.depth);
  const int64_t lines = grid.planes().count * grid.rows().count;
  for (int64_t line = 0; line < lines; ++line) {
    Buffer patches(line_bytes, random.Between(0, 17), 0);
    const int64_t plane = grid.planes().Start(line / grid.rows().count);
    const int64_t row = grid.rows().Start(line % grid.rows().count);
    const int64_t done =
        plan.Copy(grid.cols().count,
                  images.data() + (plane * grid.rows().image + row) *
                                      grid.cols().image * grid.depth,
                  images.data() + images.size(), patches.data());
    const int64_t bytes = done * grid.patch_depth();
    check.That(
        expected.compare(line * line_bytes, bytes, patches.data(), bytes) == 0,
        "wrong in line ", line, " of ", request);
    check.That(patches.UntouchedBut(0, bytes), "too much in line ", line,
               " of ", request);
    copied += done;
  }
  return copied;
}

void TestShufflePlans(Check& check) {
  int64_t copied = 0;
  ForEachSeed(check.cases(), [&](Random& random) {
    copied += ShufflePlanCase(check, random);
  });
  check.Equal(copied > 0, MayUse(Instructions::kSsse3), "patches copied");
}

}  // namespace tf_patches
