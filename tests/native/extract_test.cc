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

std::vector<char> ExtractNaively(const Request& request, int64_t patch_pixels,
                                 int64_t pixel_bytes,
                                 const std::string& constant,
                                 const char* images) {
  std::vector<char> patches(patch_pixels * pixel_bytes);
  ForEachTap(request, [&](int64_t tap, int64_t pixel) {
    for (int64_t i = 0; i < pixel_bytes; ++i) {
      patches[tap * pixel_bytes + i] = pixel < 0
                                           ? constant[i % constant.size()]
                                           : images[pixel * pixel_bytes + i];
    }
  });
  return patches;
}

// The bytes of an element: zeros, all the same, or different ones.
std::string AnyConstant(Random& random, int64_t element_bytes) {
  std::string constant(element_bytes, random.Of<char>({0, 0, 7}));
  if (random.OneIn(3)) {
    for (char& byte : constant) byte = static_cast<char>(random.Between(0, 9));
  }
  return constant;
}

void CheckExtract(Check& check, Random& random, const Request& request,
                  int64_t element_bytes, CheckTrial* check_trial) {
  const int64_t pixel_bytes = request.depth() * element_bytes;
  PatchGrid grid;
  check.That(!MakePatchGrid(request.images, request.spec, &grid), request);
  if (grid.patch_count() == 0) return;
  const int64_t images_bytes =
      grid.image_rows() * grid.cols().image * pixel_bytes;
  Buffer images(images_bytes, random.Between(0, 17), 0);
  FillWithBytes(random, &images);
  const std::string constant = AnyConstant(random, element_bytes);

  const int64_t before = AnyImagesBefore(random, grid);
  const int64_t patches = grid.patch_count();
  const int64_t patches_before = before * (patches / grid.batch);
  const int64_t patch_bytes = grid.patch_depth() * element_bytes;
  const int64_t image_bytes = images_bytes / grid.batch;
  const std::vector<char> expected =
      ExtractNaively(request, patches * request.spec.patch_pixels(),
                     pixel_bytes, constant, images.data());
  grid.batch += before;
  const Plan plan = PlanExtraction(grid, element_bytes, constant);
  check.Equal(plan.units, grid.patch_count(), "units of ", request);
  check_trial(
      check, random,
      {[&](std::ostream& out) {
         out << element_bytes << "-byte elements, " << request;
       },
       expected, patches, [=](int64_t patch) { return patch * patch_bytes; }, 1,
       [&](Range which, char* output) {
         plan.run(images.data() - before * image_bytes,
                  {which.begin + patches_before, which.end + patches_before},
                  output - patches_before * patch_bytes);
       }});
}

int64_t AnyElementBytes(Random& random) {
  return random.Of<int64_t>({1, 2, 4, 8, 16});
}

}  // namespace

void ExtractCase(Check& check, Random& random) {
  const Request request = RandomRequest(random);
  CheckExtract(check, random, request, AnyElementBytes(random), CheckShares);
}

void TestExtract(Check& check) {
  ForEachRequest(check.cases(), [&](const Request& request, Random& random) {
    CheckExtract(check, random, request, 1, CheckShares);
    CheckExtract(check, random, request, AnyElementBytes(random), CheckShares);
  });
}

// Enough patches of scattered bytes that planning how to copy them pays.
void TestManySmallPatches(Check& check) {
  const AxisSpec point, dense = {3, 1, 1}, dilated = {3, 1, 2},
                        apart = {2, 2, 1};
  const std::vector<Request> requests = {
      Flat({2, 301, 211, 1}, dense, dense, Padding::kSame),
      Flat({2, 301, 211, 1}, dense, dense, Padding::kSame, Border::kReflect),
      Flat({2, 301, 211, 1}, dense, dense, Padding::kValid),
      Flat({2, 301, 211, 1}, dilated, dilated, Padding::kSame),
      Flat({2, 301, 211, 1}, dense, point, Padding::kSame),
      Flat({2, 301, 211, 1}, dense, {2, 3, 1}, Padding::kSame),
      Flat({2, 301, 211, 1}, apart, apart, Padding::kValid),
      {{2, 61, 47, 45, 1},
       {3, {dense, dense, dense}, Padding::kSame, Border::kConstant}},
      {{2, 130001, 1},
       {1, {point, point, dilated}, Padding::kSame, Border::kEdge}}};
  Random random(1);
  for (Request request : requests) {
    for (const int64_t depth : {1, 2, 3}) {
      request.images.back() = depth;
      for (const int64_t bytes : {1, 2}) {
        CheckExtract(check, random, request, bytes, CheckShares);
      }
    }
  }
}

// Results larger than most caches: of short pieces, and of long ones; and
// patches of more rows than are copied at once.
void TestLargeExtract(Check& check) {
  const AxisSpec small = {3, 1, 1}, tall = {99, 20, 1}, wide = {67, 1, 1};
  const AxisSpec taller = {1500, 700, 1};
  Random random(1);
  CheckExtract(check, random,
               Flat({1, 700, 901, 7}, small, small, Padding::kSame), 1,
               CheckShares);
  CheckExtract(check, random,
               Flat({1, 100, 64, 16}, tall, wide, Padding::kSame), 1,
               CheckShares);
  for (const Border border : {Border::kConstant, Border::kWrap}) {
    CheckExtract(
        check, random,
        Flat({1, 2000, 40, 3}, taller, {2, 3, 1}, Padding::kSame, border), 2,
        CheckShares);
    CheckExtract(
        check, random,
        {{1, 70, 75, 33, 1},
         {3, {{{40, 16, 1}, {41, 16, 1}, small}}, Padding::kSame, border}},
        4, CheckShares);
  }
}

void TestExtractInThreads(Check& check) {
  ForEachRequest(check.cases() / 3, [&](const Request& request,
                                        Random& random) {
    if (!random.OneIn(3)) return;
    CheckExtract(check, random, request, AnyElementBytes(random), CheckThreads);
  });
}

}  // namespace tf_patches
