// How work is shared out.
#include "kernels/share.h"

#include <limits>

#include "native/check.h"
#include "native/random.h"
#include "native/tests.h"

namespace tf_patches {

void ShareCase(Check& check, Random& random) {
  const int64_t most = std::numeric_limits<int64_t>::max();
  const int64_t units =
      random.Of<int64_t>({1, 2, random.Between(1, 100), most / 16, most});
  const int64_t bytes =
      random.Of<int64_t>({0, 1, random.Between(0, 1 << 22), most});
  const int64_t threads = random.Between(1, 300);
  const int64_t share = UnitsPerShare(units, bytes, threads);
  check.That(1 <= share && share <= units, "a share of ", share, " of ", units,
             " units");
  const int64_t shares = (units - 1) / share + 1;
  check.That(shares <= threads * kSharesPerThread, shares, " shares for ",
             threads, " threads");
  check.That(shares == 1 || bytes / shares >= kBytesPerShare, shares,
             " shares of ", bytes, " bytes");
  const bool ample = bytes / kBytesPerShare / threads >= kSharesPerThread;
  check.That(!ample || shares >= std::min(units, threads), "only ", shares,
             " shares of ", units, " units for ", threads, " threads");
}

void TestUnitsPerShare(Check& check) {
  ForEachSeed(check.cases(), [&](Random& random) { ShareCase(check, random); });
}

}  // namespace tf_patches
