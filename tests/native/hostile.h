// What is asked for with numbers that are wrong or large, and how it must be
// refused.
#ifndef TF_PATCHES_TESTS_NATIVE_HOSTILE_H_
#define TF_PATCHES_TESTS_NATIVE_HOSTILE_H_

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "geometry/error.h"
#include "geometry/patch_grid.h"
#include "native/check.h"
#include "native/random.h"

namespace tf_patches {

inline constexpr int64_t kMin64 = std::numeric_limits<int64_t>::min();
inline constexpr int64_t kMax64 = std::numeric_limits<int64_t>::max();
inline constexpr int32_t kMin32 = std::numeric_limits<int32_t>::min();
inline constexpr int32_t kMax32 = std::numeric_limits<int32_t>::max();

__extension__ using Int128 = __int128;

// More than anything allowed, and safe to multiply by 64 bits.
inline constexpr Int128 kTooMany = Int128{1} << 63;

// Whether a shape's elements can be counted, from the left, in 64 bits: zero of
// them too.
inline bool CanBeCounted(const std::vector<Int128>& shape) {
  Int128 product = 1;
  for (const Int128 dim : shape) {
    product *= dim;
    if (product > kMax64) return false;
  }
  return product <= kMax64 / 16;
}

inline bool MostlySmallDims(Random& random, Shape* dims) {
  for (int64_t& dim : *dims) {
    dim = random.OneIn(2)
              ? random.Between(0, 5)
              : random.Of<int64_t>({kMin64, kMin64 + 1, -kMax32, -1, 100, 46341,
                                    1 << 20, kMax32, 1LL << 31, 1LL << 32,
                                    1LL << 48, 1LL << 59, (1LL << 59) - 1,
                                    1LL << 60, 1LL << 62, kMax64 - 1, kMax64});
  }
  return *std::min_element(dims->begin(), dims->end()) >= 0;
}

inline bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

inline std::string Printed(const std::vector<int64_t>& values) {
  std::string text;
  for (const int64_t value : values) {
    text += (text.empty() ? "" : ", ") + std::to_string(value);
  }
  return "[" + text + "]";
}

struct Refusal {
  ErrorKind kind;
  std::vector<std::string> told;  // what the message must name
};

inline void CheckRefusal(Check& check, const std::optional<Error>& error,
                         const Refusal& refusal, const std::string& what) {
  check.That(error.has_value(), what, " was accepted");
  if (!error) return;
  check.That(error->kind == refusal.kind, what, " has the wrong kind of error");
  for (const std::string& part : refusal.told) {
    check.That(Contains(error->message, part), what, ": no \"", part,
               "\" in: ", error->message);
  }
}

}  // namespace tf_patches

#endif  // TF_PATCHES_TESTS_NATIVE_HOSTILE_H_
