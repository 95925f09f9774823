// Runs every test of geometry, kernels and memory in custom_ops.
// Usage: PROGRAM [--cases N] [--only TEXT], for sweeps of N random cases, for
// the tests with TEXT in their names.
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <string>

#include "kernels/instructions.h"
#include "kernels/stream_writer.h"
#include "native/check.h"
#include "native/tests.h"

namespace tf_patches {
namespace {

constexpr int64_t kDefaultCases = 3000;

struct Test {
  const char* name;
  void (*run)(Check& check);
};

// Each set of instructions that the kernels may find.
struct Level {
  const char* name;
  Instructions instructions;
};

constexpr Level kLevels[] = {
    {"base", Instructions::kBase},
    {"SSSE3", Instructions::kSsse3},
    {"AVX2", Instructions::kAvx2},
    {"AVX-512", Instructions::kAvx512},
};

// What is the same for all levels.
constexpr Test kCommonTests[] = {
    {"geometry: small axes", TestSmallAxes},
    {"geometry: random axes", TestRandomAxes},
    {"geometry: grid shapes", TestGridShapes},
    {"geometry: hostile grids", TestHostileGrids},
    {"geometry: hostile attributes", TestHostileAttributes},
    {"geometry: messages", TestMessages},
    {"placement: shapes and axes", TestPlacements},
    {"placement: hostile", TestHostilePlacements},
    {"placement: messages", TestPlacementMessages},
    {"half: conversions", TestHalfConversions},
    {"half: sums", TestHalfSums},
    {"half: subnormals flushed", TestHalfWithoutSubnormals},
    {"bfloat16: conversions", TestBFloat16Conversions},
    {"bfloat16: sums", TestBFloat16Sums},
    {"share: units", TestUnitsPerShare},
    {"fold: bands", TestBands},
    {"memory: blocks at random", TestBlocksAtRandom},
    {"memory: reuse", TestBlocksAreReused},
    {"memory: oldest first", TestOldestBlocksGoFirst},
    {"memory: none left", TestNoMemoryForBlocks},
    {"memory: threads", TestBlocksInThreads},
    {"memory: fork among threads", TestForkAmongThreads},
    {"memory: control groups", TestControlGroups},
    {"memory: of the process", TestMemoryOfProcess},
};

// Run on every level that the processor has.
constexpr Test kKernelTests[] = {
    {"extract: sweep", TestExtract},
    {"extract: many small patches", TestManySmallPatches},
    {"extract: large", TestLargeExtract},
    {"extract: shuffle plans", TestShufflePlans},
    {"extract: threads", TestExtractInThreads},
};

// Run on those levels that have vectors of other widths: nothing that these
// test asks for SSSE3.
constexpr Test kVectorTests[] = {
    {"fold: sweep", TestFold},
    {"fold: overlapping rows", TestFoldOfOverlappingRows},
    {"fold: large", TestLargeFold},
    {"fold: wide rows", TestFoldOfWideRows},
    {"fold: huge patch", TestFoldOfHugePatch},
    {"fold: subnormals flushed", TestFoldOfHalfFlushed},
    {"fold: threads", TestFoldInThreads},
    {"fold: weighted", TestWeightedFold},
    {"fold: weighted, threads", TestWeightedFoldInThreads},
    {"extract at: sweep", TestExtractAt},
    {"extract at: large", TestLargeExtractAt},
    {"extract at: threads", TestExtractAtInThreads},
    {"fold at: sweep", TestFoldAt},
    {"fold at: many blocks", TestFoldAtOfManyBlocks},
    {"fold at: nothing", TestFoldAtOfNothing},
    {"fold at: threads", TestFoldAtInThreads},
};

class Runner {
 public:
  Runner(int64_t cases, const std::string& only) : cases_(cases), only_(only) {}

  // Runs those of `tests` that are wanted; `level` is part of their names.
  template <typename Tests>
  void Run(const Tests& tests, const std::string& level) {
    for (const Test& test : tests) {
      const std::string name = test.name + level;
      if (name.find(only_) == std::string::npos) continue;
      ++(Passes(test, name) ? passed_ : failed_);
    }
  }

  // Returns the program's exit status.
  int Finish() const {
    std::cout << passed_ << " passed, " << failed_ << " failed" << std::endl;
    return passed_ > 0 && failed_ == 0 ? 0 : 1;
  }

 private:
  bool Passes(const Test& test, const std::string& name) const {
    std::cout << name << ": " << std::flush;
    Check check(cases_);
    const std::clock_t start = std::clock();
    test.run(check);
    const bool ok = check.failures() == 0 && check.checks() > 0;
    std::cout << (ok ? "ok, " : "FAILED, ") << check.failures() << " of "
              << check.checks() << " checks failed, "
              << (std::clock() - start) * 1000 / CLOCKS_PER_SEC
              << " ms of processor time" << std::endl;
    return ok;
  }

  const int64_t cases_;
  const std::string only_;
  int passed_ = 0;
  int failed_ = 0;
};

int RunTests(int64_t cases, const std::string& only) {
  streamed_bytes = kStreamedBytes;  // whatever the processor
  Runner runner(cases, only);
  runner.Run(kCommonTests, "");
  const Instructions most = InstructionsOfProcessor();
  for (const Level& level : kLevels) {
    if (level.instructions > most) {
      std::cout << "SKIPPED: " << level.name << ", which is not to be had here"
                << std::endl;
      continue;
    }
    usable_instructions = level.instructions;
    const std::string name = std::string(", ") + level.name;
    runner.Run(kKernelTests, name);
    if (level.instructions != Instructions::kSsse3) {
      runner.Run(kVectorTests, name);
    }
  }
  return runner.Finish();
}

}  // namespace
}  // namespace tf_patches

int main(int argc, char** argv) {
  int64_t cases = tf_patches::kDefaultCases;
  std::string only;
  for (int i = 1; i < argc; i += 2) {
    const std::string option = argv[i];
    if (i + 1 < argc && option == "--cases") {
      cases = std::atoll(argv[i + 1]);
    } else if (i + 1 < argc && option == "--only") {
      only = argv[i + 1];
    } else {
      std::cerr << "usage: " << argv[0] << " [--cases N] [--only TEXT]\n";
      return 2;
    }
  }
  return tf_patches::RunTests(cases, only);
}
