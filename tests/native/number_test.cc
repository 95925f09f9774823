// The 16-bit numbers against what their bits mean, for every one of them: the
// value of each found with ldexp, rounding by looking for the nearest of all.
#include "kernels/number.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "native/check.h"
#include "native/flushed_subnormals.h"
#include "native/random.h"
#include "native/tests.h"

namespace tf_patches {
namespace {

constexpr uint32_t kNumbers = 1 << 16;
constexpr uint16_t kSign = 0x8000;

// A format with a sign, `exponent_bits` and `fraction_bits`, in that order.
class Format {
 public:
  Format(int exponent_bits, int fraction_bits)
      : fraction_bits_(fraction_bits),
        bias_((1 << (exponent_bits - 1)) - 1),
        infinity_(((1 << exponent_bits) - 1) << fraction_bits) {
    for (int magnitude = 0; magnitude <= infinity_; ++magnitude) {
      finite_.push_back(Finite(magnitude));
    }
  }

  bool IsNaN(uint16_t bits) const { return (bits & ~kSign) > infinity_; }

  double ValueOf(uint16_t bits) const {
    const int magnitude = bits & ~kSign;
    const double value = magnitude < infinity_ ? finite_[magnitude]
                         : magnitude == infinity_
                             ? std::numeric_limits<double>::infinity()
                             : std::numeric_limits<double>::quiet_NaN();
    return std::copysign(value, bits & kSign ? -1 : 1);
  }

  // Halfway between the non-negative number `magnitude` and the next larger.
  double Midpoint(int magnitude) const {
    return (finite_[magnitude] + finite_[magnitude + 1]) / 2;
  }

  int infinity() const { return infinity_; }

  // The bits of the number nearest to `value`, no NaN: the even one of two.
  uint16_t Nearest(double value) const {
    const auto above =
        std::lower_bound(finite_.begin(), finite_.end(), std::abs(value));
    int magnitude = std::min<int>(above - finite_.begin(), infinity_);
    if (magnitude > 0) {
      const double midpoint = Midpoint(magnitude - 1);
      const bool tie = std::abs(value) == midpoint;
      if (std::abs(value) < midpoint || (tie && magnitude % 2 == 1)) {
        --magnitude;
      }
    }
    return static_cast<uint16_t>(magnitude | (std::signbit(value) ? kSign : 0));
  }

 private:
  // With infinity's bits: the number that would follow the largest, which is
  // where rounding has it.
  double Finite(int magnitude) const {
    const int exponent = magnitude >> fraction_bits_;
    const int one = 1 << fraction_bits_;
    const int fraction = magnitude & (one - 1);
    if (exponent == 0) return std::ldexp(fraction, 1 - bias_ - fraction_bits_);
    return std::ldexp(one + fraction, exponent - bias_ - fraction_bits_);
  }

  const int fraction_bits_;
  const int bias_;
  const int infinity_;
  std::vector<double> finite_;
};

const Format& FormatOf(Half) {
  static const Format format(5, 10);
  return format;
}
const Format& FormatOf(BFloat16) {
  static const Format format(8, 7);
  return format;
}

template <typename T>
T FromBits(uint32_t bits) {
  T number;
  number.bits = static_cast<uint16_t>(bits);
  return number;
}

// What rounding makes of a NaN: half keeps what it says, bfloat16 its sign.
uint16_t Quiet(Half nan) { return nan.bits | 0x0200; }
uint16_t Quiet(BFloat16 nan) { return (nan.bits & kSign) | 0x7fc0; }

template <typename T>
void CheckWidening(Check& check) {
  const Format& format = FormatOf(T());
  for (uint32_t bits = 0; bits < kNumbers; ++bits) {
    const float got = static_cast<float>(FromBits<T>(bits));
    const double want = format.ValueOf(bits);
    check.That(std::signbit(got) == std::signbit(want), "sign of ", bits);
    check.That(format.IsNaN(bits) ? std::isnan(got) : got == want, "number ",
               bits, " widens to ", got, ", want ", want);
    const T number = FromBits<T>(bits);
    check.Equal<uint32_t>(T(got).bits,
                          format.IsNaN(bits) ? Quiet(number) : bits,
                          "there and back");
  }
}

template <typename T>
void CheckRounding(Check& check, float value) {
  const Format& format = FormatOf(T());
  const uint16_t got = T(value).bits;
  if (std::isnan(value)) {
    check.That(format.IsNaN(got) && !(got & kSign) == !std::signbit(value),
               "NaN rounds to ", got);
    return;
  }
  check.Equal(got, format.Nearest(value), value, " rounded");
}

template <typename T>
void CheckRoundings(Check& check) {
  const Format& format = FormatOf(T());
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (int magnitude = 0; magnitude < format.infinity(); ++magnitude) {
    const float number = static_cast<float>(format.ValueOf(magnitude));
    const float midpoint = static_cast<float>(format.Midpoint(magnitude));
    for (const float value : {number, std::nextafter(midpoint, 0.0f), midpoint,
                              std::nextafter(midpoint, kInfinity)}) {
      CheckRounding<T>(check, value);
      CheckRounding<T>(check, -value);
    }
  }
  for (const float value : {std::numeric_limits<float>::max(), kInfinity}) {
    CheckRounding<T>(check, value);
    CheckRounding<T>(check, -value);
  }
  Random random(1);
  for (int i = 0; i < 300000; ++i) {
    CheckRounding<T>(check,
                     BitCast<float>(static_cast<uint32_t>(random.Bits())));
  }
}

// Zeros, the smallest and the largest numbers, ones, infinities, a NaN, others.
template <typename T>
std::vector<T> Palette() {
  const uint32_t infinity = FormatOf(T()).infinity();
  const uint32_t one = FormatOf(T()).Nearest(1);
  std::vector<T> palette;
  for (const uint32_t magnitude :
       {0u, 1u, 2u, 0x7fu, 0x80u, 0x3ffu, 0x400u, 0x401u, one - 1, one, one + 1,
        one + 0x101, infinity - 1, infinity, infinity + 1}) {
    palette.push_back(FromBits<T>(magnitude));
    palette.push_back(FromBits<T>(magnitude | kSign));
  }
  Random random(2);
  for (int i = 0; i < 10; ++i) palette.push_back(FromBits<T>(random.Bits()));
  return palette;
}

template <typename T>
void CheckSums(Check& check) {
  const Format& format = FormatOf(T());
  for (const T b : Palette<T>()) {
    for (uint32_t bits = 0; bits < kNumbers; ++bits) {
      const uint16_t got = Add(FromBits<T>(bits), b).bits;
      // Exact for half. Double has more than twice bfloat16's digits and two,
      // so that rounding twice is rounding once.
      const double sum = format.ValueOf(bits) + format.ValueOf(b.bits);
      check.That(
          std::isnan(sum) ? format.IsNaN(got) : got == format.Nearest(sum),
          "sum of ", bits, " and ", b.bits, ": got ", got, ", want ", sum);
    }
  }
}

// All that half does, in bits.
__attribute__((noinline)) std::vector<uint32_t> HalfResults() {
  const std::vector<Half> palette = Palette<Half>();
  std::vector<uint32_t> results;
  for (uint32_t bits = 0; bits < kNumbers; ++bits) {
    const Half half = FromBits<Half>(bits);
    const float wide = static_cast<float>(half);
    results.push_back(BitCast<uint32_t>(wide));
    results.push_back(Half(wide).bits);
    for (const Half other : palette) {
      results.push_back(Add(half, other).bits);
    }
  }
  return results;
}

}  // namespace

void TestHalfConversions(Check& check) {
  CheckWidening<Half>(check);
  CheckRoundings<Half>(check);
}

void TestHalfSums(Check& check) { CheckSums<Half>(check); }

void TestBFloat16Conversions(Check& check) {
  CheckWidening<BFloat16>(check);
  CheckRoundings<BFloat16>(check);
}

void TestBFloat16Sums(Check& check) { CheckSums<BFloat16>(check); }

void TestHalfWithoutSubnormals(Check& check) {
  const std::vector<uint32_t> expected = HalfResults();
  const FlushedSubnormals flushed;
  check.That(HalfResults() == expected,
             "half depends on how the thread treats subnormal floats");
}

}  // namespace tf_patches
