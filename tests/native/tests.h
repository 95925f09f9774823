// Every test of the program; main.cc runs them.
#ifndef TF_PATCHES_TESTS_NATIVE_TESTS_H_
#define TF_PATCHES_TESTS_NATIVE_TESTS_H_

#include "native/check.h"
#include "native/random.h"

namespace tf_patches {

// Cases of sweeps, each chosen by random numbers; a fuzzer chooses them, too.
void AxisCase(Check& check, Random& random);
void HostileAttributesCase(Check& check, Random& random);
void ShareCase(Check& check, Random& random);
void BandsCase(Check& check, Random& random);
void BlocksCase(Check& check, Random& random);
void ExtractCase(Check& check, Random& random);
void FoldCase(Check& check, Random& random);
void WeightedFoldCase(Check& check, Random& random);
void ExtractAtCase(Check& check, Random& random);
void FoldAtCase(Check& check, Random& random);
// Return whether the case was accepted, and so tested more.
bool HostileGridCase(Check& check, Random& random);
bool HostilePlacementCase(Check& check, Random& random);
// Returns how many patches were copied.
int64_t ShufflePlanCase(Check& check, Random& random);

// Visits random cases of their own seeds.
template <typename Visit>
void ForEachSeed(int64_t cases, const Visit& visit) {
  for (int64_t seed = 0; seed < cases; ++seed) {
    Random random(seed);
    visit(random);
  }
}

void TestSmallAxes(Check& check);
void TestRandomAxes(Check& check);
void TestGridShapes(Check& check);
void TestHostileGrids(Check& check);
void TestHostileAttributes(Check& check);
void TestMessages(Check& check);

void TestPlacements(Check& check);
void TestHostilePlacements(Check& check);
void TestPlacementMessages(Check& check);

void TestHalfConversions(Check& check);
void TestHalfSums(Check& check);
void TestBFloat16Conversions(Check& check);
void TestBFloat16Sums(Check& check);
void TestHalfWithoutSubnormals(Check& check);

void TestUnitsPerShare(Check& check);
void TestBands(Check& check);

void TestBlocksAtRandom(Check& check);
void TestBlocksAreReused(Check& check);
void TestOldestBlocksGoFirst(Check& check);
void TestNoMemoryForBlocks(Check& check);
void TestBlocksInThreads(Check& check);
void TestForkAmongThreads(Check& check);
void TestControlGroups(Check& check);
void TestMemoryOfProcess(Check& check);

void TestExtract(Check& check);
void TestManySmallPatches(Check& check);
void TestLargeExtract(Check& check);
void TestShufflePlans(Check& check);
void TestFoldOfOverlappingRows(Check& check);
void TestLargeFold(Check& check);
void TestExtractInThreads(Check& check);

void TestFold(Check& check);
void TestFoldOfWideRows(Check& check);
void TestFoldOfHugePatch(Check& check);
void TestFoldOfHalfFlushed(Check& check);
void TestFoldInThreads(Check& check);
void TestWeightedFold(Check& check);
void TestWeightedFoldInThreads(Check& check);

void TestExtractAt(Check& check);
void TestLargeExtractAt(Check& check);
void TestExtractAtInThreads(Check& check);
void TestFoldAt(Check& check);
void TestFoldAtOfManyBlocks(Check& check);
void TestFoldAtOfNothing(Check& check);
void TestFoldAtInThreads(Check& check);

}  // namespace tf_patches

#endif  // TF_PATCHES_TESTS_NATIVE_TESTS_H_
