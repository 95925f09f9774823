// Numbers that tests of folds draw.
#ifndef TF_PATCHES_TESTS_NATIVE_VALUES_H_
#define TF_PATCHES_TESTS_NATIVE_VALUES_H_

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "kernels/number.h"
#include "native/random.h"

namespace tf_patches {

// The NaN that the machine itself makes. The sum of two NaNs is one of the two,
// and the compiler chooses which: sums of several must hold no other.
template <typename T>
T MachineNaN() {
  volatile T infinity = std::numeric_limits<T>::infinity();
  return infinity - infinity;
}

template <typename T>
T SpecialValue(Random& random) {
  using Limits = std::numeric_limits<T>;
  return random.Of<T>({T(0), -T(0), Limits::infinity(), -Limits::infinity(),
                       MachineNaN<T>(), Limits::denorm_min(), -Limits::min(),
                       Limits::max(), Limits::lowest()});
}

// How the values of a test are drawn.
enum class Values {
  kMixed,      // of many sizes, so that every change of order shows
  kSpecial,    // with infinities, NaN and the like among them
  kArbitrary,  // any bits at all
};

template <typename T>
struct Draw {
  static T Value(Random& random, Values values) {
    if constexpr (std::is_floating_point_v<T>) {
      if (values == Values::kSpecial && random.OneIn(30)) {
        return SpecialValue<T>(random);
      }
      if (values != Values::kArbitrary) {
        const T value = std::ldexp(T(random.Bits() >> 11), -53);
        return std::ldexp(random.OneIn(2) ? value : -value,
                          random.Between(-6, 6));
      }
    }
    const uint64_t bits = random.Bits();
    T value;
    std::memcpy(&value, &bits, sizeof(value));
    return value;
  }
};

// 0, 1 or -1.
template <typename T>
T DrawUnit(Random& random) {
  using Real = std::conditional_t<std::is_integral_v<T>, T, float>;
  return T(static_cast<Real>(random.Between(-1, 1)));
}

// Numbers of 16 bits: what float has, rounded, or their own bits, those of tiny
// numbers among the special ones.
template <typename T>
T DrawSmall(Random& random, Values values) {
  const bool tiny = values == Values::kSpecial && random.OneIn(2);
  if (values != Values::kArbitrary && !tiny) {
    return T(Draw<float>::Value(random, values));
  }
  T value;
  value.bits = static_cast<uint16_t>(random.Bits() & (tiny ? 0x87ff : 0xffff));
  return value;
}
template <>
struct Draw<Half> {
  static constexpr auto Value = DrawSmall<Half>;
};
template <>
struct Draw<BFloat16> {
  static constexpr auto Value = DrawSmall<BFloat16>;
};
template <typename Part>
struct Draw<Complex<Part>> {
  static Complex<Part> Value(Random& random, Values values) {
    const Part real = Draw<Part>::Value(random, values);
    return Complex<Part>(real, Draw<Part>::Value(random, values));
  }
};

}  // namespace tf_patches

#endif  // TF_PATCHES_TESTS_NATIVE_VALUES_H_
