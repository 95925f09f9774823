#include "native/shares.h"

#include <algorithm>
#include <thread>

#include "native/buffer.h"

namespace tf_patches {
namespace {

constexpr int kThreads = 4;

Buffer MakeOutput(Random& random, const Trial& trial) {
  const int64_t before = trial.alignment * random.Between(0, 17);
  return Buffer(trial.expected.size(), before, random.OneIn(2) ? 0 : 300);
}

// Cuts `[0, units)` into ranges, in any order.
std::vector<Range> Cut(Random& random, int64_t units) {
  std::vector<Range> shares;
  for (int64_t begin = 0; begin < units;) {
    const int64_t size =
        random.Of<int64_t>({1, random.Between(1, 9), random.Between(1, units)});
    const int64_t end = std::min(units, begin + size);
    shares.push_back({begin, end});
    begin = end;
  }
  random.Shuffle(&shares);
  return shares;
}

Range AnyShare(Random& random, int64_t units) {
  const int64_t begin = random.Between(0, units - 1);
  const int64_t most = units - begin;
  const int64_t size =
      random.Of<int64_t>({0, 1, random.Between(1, std::min<int64_t>(most, 5)),
                          random.Between(1, most)});
  return {begin, begin + size};
}

// Checks that `output` holds what is expected of `which`, and nothing else.
void CheckWritten(Check& check, const Trial& trial, Range which,
                  const Buffer& output) {
  const int64_t begin = trial.begin(which.begin);
  const int64_t end = trial.begin(which.end);
  const char* const wrong =
      std::mismatch(output.data() + begin, output.data() + end,
                    trial.expected.data() + begin)
          .first;
  check.That(wrong == output.data() + end, "wrong at byte ",
             wrong - output.data(), " of ", output.size(), ", writing [",
             which.begin, ", ", which.end, ") of ", trial.units, ", ", trial);
  check.That(output.UntouchedBut(begin, end), "touched bytes beside [",
             which.begin, ", ", which.end, ") of ", trial.units, ", ", trial);
}

}  // namespace

int64_t AnyImagesBefore(Random& random, const PatchGrid& grid) {
  if (random.OneIn(2)) return 0;
  const int64_t values =
      std::max(grid.image_rows() * grid.cols().image * grid.depth,
               grid.patch_count() * grid.patch_depth());
  return (int64_t{1} << random.Between(26, 40)) / values;
}

std::ostream& operator<<(std::ostream& out, const Trial& trial) {
  trial.describe(out);
  return out;
}

void CheckShares(Check& check, Random& random, const Trial& trial) {
  const Range all = {0, trial.units};
  Buffer whole = MakeOutput(random, trial);
  trial.kernel(all, whole.data());
  CheckWritten(check, trial, all, whole);

  Buffer pieces = MakeOutput(random, trial);
  for (const Range share : Cut(random, trial.units)) {
    trial.kernel(share, pieces.data());
  }
  CheckWritten(check, trial, all, pieces);

  for (int i = 0; i < 3; ++i) {
    Buffer piece = MakeOutput(random, trial);
    const Range share = AnyShare(random, trial.units);
    trial.kernel(share, piece.data());
    CheckWritten(check, trial, share, piece);
  }
}

void CheckThreads(Check& check, Random& random, const Trial& trial) {
  Buffer output = MakeOutput(random, trial);
  const std::vector<Range> shares = Cut(random, trial.units);
  std::vector<std::thread> threads;
  for (size_t first = 0; first < kThreads; ++first) {
    threads.emplace_back([&, first] {
      for (size_t i = first; i < shares.size(); i += kThreads) {
        trial.kernel(shares[i], output.data());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CheckWritten(check, trial, {0, trial.units}, output);
}

}  // namespace tf_patches
