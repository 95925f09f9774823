// Extraction against a loop over single bytes.
#include "kernels/extract.h"

#include <string>
#include <vector>

#include "native/buffer.h"
#include "native/check.h"
#include "native/requests.h"
#include "native/shares.h"
#include "native/tests.h"
#include "native/walk.h"

namespace tf_patches {
namespace {

std::vector<char> ExtractNaively(const Request& request, int64_t pixel_bytes,
                                 const char* images) {
  std::vector<char> patches;
  ForEachTap(request, [&](int64_t, int64_t pixel) {
    for (int64_t i = 0; i < pixel_bytes; ++i) {
      patches.push_back(pixel < 0 ? 0 : images[pixel * pixel_bytes + i]);
    }
  });
  return patches;
}

void CheckExtract(Check& check, Random& random, const Request& request,
                  int64_t element_bytes, CheckTrial* check_trial) {
  const int64_t pixel_bytes = request.images[3] * element_bytes;
  PatchGrid grid;
  check.That(!MakePatchGrid(request.images, request.spec, &grid), request);
  if (grid.patch_count() == 0) return;
  const int64_t images_bytes =
      grid.image_rows() * grid.cols.image * pixel_bytes;
  Buffer images(images_bytes, random.Between(0, 17), 0);
  FillWithBytes(random, &images);

  const int64_t before = AnyImagesBefore(random, grid);
  const int64_t patches_before = before * grid.rows.count * grid.cols.count;
  const int64_t patch_bytes = grid.patch_depth() * element_bytes;
  const int64_t image_bytes = images_bytes / grid.batch;
  const int64_t patches = grid.patch_count();
  grid.batch += before;
  const Extraction extract = PlanExtraction(grid, element_bytes);
  check_trial(check, random,
              {request, std::to_string(element_bytes) + "-byte elements",
               ExtractNaively(request, pixel_bytes, images.data()), patches, 1,
               [&](Range which, char* output) {
                 extract(
                     images.data() - before * image_bytes,
                     {which.begin + patches_before, which.end + patches_before},
                     output - patches_before * patch_bytes);
               }});
}

int64_t AnyElementBytes(Random& random) {
  return random.Of<int64_t>({1, 2, 4, 8, 16});
}

}  // namespace

void TestExtract(Check& check) {
  ForEachRequest(check.cases(), [&](const Request& request, Random& random) {
    CheckExtract(check, random, request, 1, CheckShares);
    CheckExtract(check, random, request, AnyElementBytes(random), CheckShares);
  });
}

// Enough patches of scattered bytes that planning how to copy them pays.
void TestManySmallPatches(Check& check) {
  const AxisSpec dense = {3, 1, 1}, dilated = {3, 1, 2}, apart = {2, 2, 1};
  const std::vector<PatchSpec> specs = {{dense, dense, Padding::kSame},
                                        {dense, dense, Padding::kValid},
                                        {dilated, dilated, Padding::kSame},
                                        {dense, {1, 1, 1}, Padding::kSame},
                                        {{3, 1, 1}, {2, 3, 1}, Padding::kSame},
                                        {apart, apart, Padding::kValid}};
  Random random(1);
  for (const PatchSpec& spec : specs) {
    for (const int64_t depth : {1, 2, 3}) {
      for (const int64_t bytes : {1, 2}) {
        CheckExtract(check, random, {{2, 301, 211, depth}, spec}, bytes,
                     CheckShares);
      }
    }
  }
}

// Results larger than most caches: of short pieces, and of long ones.
void TestLargeExtract(Check& check) {
  const PatchSpec small = {{3, 1, 1}, {3, 1, 1}, Padding::kSame};
  const PatchSpec large = {{99, 20, 1}, {67, 1, 1}, Padding::kSame};
  Random random(1);
  CheckExtract(check, random, {{1, 700, 901, 7}, small}, 1, CheckShares);
  CheckExtract(check, random, {{1, 100, 64, 16}, large}, 1, CheckShares);
}

void TestExtractInThreads(Check& check) {
  ForEachRequest(check.cases() / 3, [&](const Request& request,
                                        Random& random) {
    if (!random.OneIn(3)) return;
    CheckExtract(check, random, request, AnyElementBytes(random), CheckThreads);
  });
}

}  // namespace tf_patches
