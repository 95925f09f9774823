// Checks of a kernel that writes any share of its output: a range of units
// (patches, parts of image rows).
#ifndef TF_PATCHES_TESTS_NATIVE_SHARES_H_
#define TF_PATCHES_TESTS_NATIVE_SHARES_H_

#include <cstdint>
#include <functional>
#include <ostream>
#include <vector>

#include "geometry/patch_grid.h"
#include "native/check.h"
#include "native/random.h"

namespace tf_patches {

// How many images to pretend before those of `grid`, often none. Kernels may
// do results that exceed the caches, or 32 bits, in ways of their own: a batch
// of which only the last images exist has them do so on few bytes.
int64_t AnyImagesBefore(Random& random, const PatchGrid& grid);

// One run of a kernel: what was asked, and all the bytes that it should write.
struct Trial {
  std::function<void(std::ostream& out)> describe;
  std::vector<char> expected;
  int64_t units;
  std::function<int64_t(int64_t unit)> begin;  // its first byte
  int64_t alignment;                           // that the kernel may rely on
  std::function<void(Range which, char* output)> kernel;
};

std::ostream& operator<<(std::ostream& out, const Trial& trial);

using CheckTrial = void(Check& check, Random& random, const Trial& trial);

// Has the kernel write all of its output at once, in shares that come in any
// order, and single shares of it: every byte right, not one beside the share.
void CheckShares(Check& check, Random& random, const Trial& trial);

// Has several threads write the shares of one output at the same time, so that
// the thread sanitizer sees what two of them touch.
void CheckThreads(Check& check, Random& random, const Trial& trial);

}  // namespace tf_patches

#endif  // TF_PATCHES_TESTS_NATIVE_SHARES_H_
