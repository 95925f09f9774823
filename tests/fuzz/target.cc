// What a fuzzer calls: the cases of the native tests, chosen by its bytes.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iterator>

#include "kernels/instructions.h"
#include "kernels/stream_writer.h"
#include "native/check.h"
#include "native/random.h"
#include "native/tests.h"

namespace tf_patches {
namespace {

using Case = void (*)(Check& check, Random& random);

// New cases come last: a corpus tells cases by their places.
constexpr Case kCases[] = {
    ExtractCase,
    FoldCase,
    WeightedFoldCase,
    ExtractAtCase,
    FoldAtCase,
    AxisCase,
    HostileAttributesCase,
    [](Check& check, Random& random) { HostileGridCase(check, random); },
    [](Check& check, Random& random) { HostilePlacementCase(check, random); },
    BandsCase,
    ShareCase,
    BlocksCase,
    [](Check& check, Random& random) { ShufflePlanCase(check, random); },
};

Instructions AnyInstructions(Random& random) {
  const int most = static_cast<int>(InstructionsOfProcessor());
  return static_cast<Instructions>(random.Between(0, most));
}

}  // namespace
}  // namespace tf_patches

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t count) {
  using namespace tf_patches;
  streamed_bytes = kStreamedBytes;  // whatever the processor
  Random random(bytes, count);
  const Case run = kCases[random.Between(0, std::size(kCases) - 1)];
  usable_instructions = AnyInstructions(random);
  Check check(1);
  run(check, random);
  if (check.failures() > 0) std::abort();
  return 0;
}
