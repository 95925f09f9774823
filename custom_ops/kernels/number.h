// Arithmetic for numbers that C++ lacks. Sums of 16 bits are made in float and
// rounded to nearest even, as in Eigen and TensorFlow.
#ifndef TF_PATCHES_KERNELS_NUMBER_H_
#define TF_PATCHES_KERNELS_NUMBER_H_

#include <complex>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace tf_patches {

template <typename To, typename From>
To BitCast(const From& from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof(to));
  return to;
}

struct BFloat16 {
  uint16_t bits = 0;

  BFloat16() = default;
  explicit BFloat16(float value) {
    const uint32_t wide = BitCast<uint32_t>(value);
    const uint32_t sign = wide >> 16 & 0x8000;
    const uint32_t rounded = (wide + 0x7fff + (wide >> 16 & 1)) >> 16;
    bits = static_cast<uint16_t>(value == value ? rounded : sign | 0x7fc0);
  }
  explicit operator float() const {
    return BitCast<float>(static_cast<uint32_t>(bits) << 16);
  }
};

struct Half {
  uint16_t bits = 0;

  Half() = default;
  explicit Half(float value) {
    const uint32_t wide = BitCast<uint32_t>(value);
    const uint32_t magnitude = wide & 0x7fffffff;
    const uint32_t sign = wide >> 16 & 0x8000;
    bits = static_cast<uint16_t>(sign | Round(magnitude));
  }
  explicit operator float() const {
    const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
    const uint32_t magnitude = bits & 0x7fff;
    return BitCast<float>(sign | Widen(magnitude));
  }

 private:
  // No step goes through a subnormal float: TensorFlow's threads flush those.
  static uint32_t Widen(uint32_t magnitude) {
    if (magnitude < 0x400) {  // subnormal, in steps of 2^-24
      return BitCast<uint32_t>(static_cast<float>(magnitude) * 0x1p-24f);
    }
    if (magnitude < 0x7c00) return (magnitude << 13) + (112u << 23);
    const uint32_t quiet = magnitude > 0x7c00 ? 0x00400000 : 0;
    return 0x7f800000 | magnitude << 13 | quiet;
  }

  static uint32_t Round(uint32_t magnitude) {
    if (magnitude > 0x7f800000) {  // NaN: keeps the payload's high bits
      return 0x7e00 | (magnitude >> 13 & 0x3ff);
    }
    if (magnitude >= 0x477ff000) return 0x7c00;  // 65520 and more: infinity
    if (magnitude < 0x38800000) {                // below 2^-14: subnormal
      // Adding 0.5 leaves the sum's last bit worth 2^-24, half's smallest step.
      const float sum = BitCast<float>(magnitude) + 0.5f;
      return BitCast<uint32_t>(sum) - 0x3f000000;
    }
    const uint32_t even = magnitude >> 13 & 1;
    return (magnitude - 0x38000000 + 0xfff + even) >> 13;
  }
};

template <typename T>
T Add(T a, T b) {
  return static_cast<T>(a + b);
}
inline Half Add(Half a, Half b) {
  return Half(static_cast<float>(a) + static_cast<float>(b));
}
inline BFloat16 Add(BFloat16 a, BFloat16 b) {
  return BFloat16(static_cast<float>(a) + static_cast<float>(b));
}

// Integers wrap around.
template <typename T>
T Multiply(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(static_cast<uint64_t>(a) * b);
  } else {
    return a * b;
  }
}

template <typename T>
T Quotient(T a, T b) {
  return a / b;
}

template <typename T>
struct Complex {
  T real = 0;
  T imaginary = 0;

  Complex() = default;
  explicit Complex(T real, T imaginary = 0)
      : real(real), imaginary(imaginary) {}
};

template <typename T>
bool operator==(const Complex<T>& a, const Complex<T>& b) {
  return a.real == b.real && a.imaginary == b.imaginary;
}
template <typename T>
Complex<T> Add(Complex<T> a, Complex<T> b) {
  return Complex<T>(a.real + b.real, a.imaginary + b.imaginary);
}
// Adds a negative product: of products that are subtracted and added by turns
// g++ makes instructions of AVX-512 that do not round them, whatever
// -ffp-contract says.
template <typename T>
Complex<T> Multiply(Complex<T> a, Complex<T> b) {
  return Complex<T>(a.real * b.real + (-a.imaginary) * b.imaginary,
                    a.real * b.imaginary + a.imaginary * b.real);
}
template <typename T>
Complex<T> Quotient(Complex<T> a, Complex<T> b) {
  if (b.imaginary == 0) {
    return Complex<T>(a.real / b.real, a.imaginary / b.real);
  }
  const std::complex<T> quotient = std::complex<T>(a.real, a.imaginary) /
                                   std::complex<T>(b.real, b.imaginary);
  return Complex<T>(quotient.real(), quotient.imag());
}

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_NUMBER_H_
