// Runs every test of custom_ops/geometry and custom_ops/kernels.
// Usage: PROGRAM [--cases N] [--only TEXT], for sweeps of N random cases, for
// the tests with TEXT in their names.
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>

#include "native/check.h"
#include "native/tests.h"

namespace tf_patches {
namespace {

constexpr int64_t kDefaultCases = 5000;

struct Test {
  const char* name;
  void (*run)(Check& check);
};

constexpr Test kTests[] = {
    {"geometry: small axes", TestSmallAxes},
    {"geometry: random axes", TestRandomAxes},
    {"geometry: grid shapes", TestGridShapes},
    {"geometry: hostile grids", TestHostileGrids},
    {"geometry: hostile attributes", TestHostileAttributes},
    {"geometry: messages", TestMessages},
    {"half: conversions", TestHalfConversions},
    {"half: sums", TestHalfSums},
    {"half: subnormals flushed", TestHalfWithoutSubnormals},
    {"bfloat16: conversions", TestBFloat16Conversions},
    {"bfloat16: sums", TestBFloat16Sums},
    {"share: units", TestUnitsPerShare},
    {"extract: sweep", TestExtract},
    {"extract: many small patches", TestManySmallPatches},
    {"extract: large", TestLargeExtract},
    {"extract: threads", TestExtractInThreads},
    {"fold: sweep", TestFold},
    {"fold: overlapping rows", TestFoldOfOverlappingRows},
    {"fold: large", TestLargeFold},
    {"fold: subnormals flushed", TestFoldOfHalfFlushed},
    {"fold: threads", TestFoldInThreads},
};

bool Passes(const Test& test, int64_t cases) {
  std::cout << test.name << ": " << std::flush;
  Check check(cases);
  test.run(check);
  const bool ok = check.failures() == 0 && check.checks() > 0;
  std::cout << (ok ? "ok, " : "FAILED, ") << check.failures() << " of "
            << check.checks() << " checks failed" << std::endl;
  return ok;
}

// Returns the program's exit status.
int RunTests(int64_t cases, const std::string& only) {
  int passed = 0;
  int failed = 0;
  for (const Test& test : kTests) {
    if (std::string(test.name).find(only) == std::string::npos) continue;
    ++(Passes(test, cases) ? passed : failed);
  }
  std::cout << passed << " passed, " << failed << " failed" << std::endl;
  return passed > 0 && failed == 0 ? 0 : 1;
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
