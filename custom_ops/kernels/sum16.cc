#include "kernels/sum16.h"

#include <algorithm>
#include <cstdint>

#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace tf_patches {
namespace {

#ifdef __x86_64__
// The rest of the library runs on every x86-64; these functions are called only
// where the processor has AVX2 (and with it, on all that have it, F16C).
#define TF_PATCHES_AVX2 __attribute__((target("avx2,f16c")))

// Half and BFloat16 in lanes of float: `Round` leaves in a float only what the
// 16 bits can hold.
struct HalfLanes {
  using Number = Half;
  TF_PATCHES_AVX2 static __m256 Widen(__m128i values) {
    return _mm256_cvtph_ps(values);
  }
  TF_PATCHES_AVX2 static __m128i Narrow(__m256 values) {
    return _mm256_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT);
  }
  TF_PATCHES_AVX2 static __m256 Round(__m256 values) {
    return Widen(Narrow(values));
  }
};

struct BFloat16Lanes {
  using Number = BFloat16;
  TF_PATCHES_AVX2 static __m256 Widen(__m128i values) {
    return _mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_cvtepu16_epi32(values), 16));
  }
  TF_PATCHES_AVX2 static __m128i Narrow(__m256 values) {
    const __m256i high = _mm256_srli_epi32(_mm256_castps_si256(values), 16);
    return _mm_packus_epi32(_mm256_castsi256_si128(high),
                            _mm256_extracti128_si256(high, 1));
  }
  TF_PATCHES_AVX2 static __m256 Round(__m256 values) {
    const __m256i bits = _mm256_castps_si256(values);
    const __m256i even =
        _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_add_epi32(
        bits, _mm256_add_epi32(even, _mm256_set1_epi32(0x7fff)));
    const __m256 sign = _mm256_and_ps(values, _mm256_set1_ps(-0.0f));
    const __m256 nan =
        _mm256_or_ps(sign, _mm256_castsi256_ps(_mm256_set1_epi32(0x7fc00000)));
    const __m256 kept = _mm256_and_ps(
        _mm256_castsi256_ps(rounded),
        _mm256_castsi256_ps(_mm256_set1_epi32(static_cast<int>(0xffff0000))));
    return _mm256_blendv_ps(kept, nan,
                            _mm256_cmp_ps(values, values, _CMP_UNORD_Q));
  }
};

constexpr int64_t kLanes = 8;

TF_PATCHES_AVX2 __m128i LoadAdjacent(const void* src) {
  return _mm_loadu_si128(static_cast<const __m128i*>(src));
}

template <typename Number>
TF_PATCHES_AVX2 __m128i LoadApart(const Number* src, int64_t step) {
  const auto lane = [src, step](int64_t i) -> int16_t {
    return static_cast<int16_t>(src[i * step].bits);
  };
  return _mm_setr_epi16(lane(0), lane(1), lane(2), lane(3), lane(4), lane(5),
                        lane(6), lane(7));
}

// kVectors times eight sums of adjacent values: several, because each addition
// waits for the one before it.
template <typename Lanes, int kVectors>
TF_PATCHES_AVX2 void SumAdjacent(const typename Lanes::Number* src, Steps outer,
                                 Steps inner, typename Lanes::Number* dst) {
  __m256 sums[kVectors];
  for (__m256& sum : sums) sum = _mm256_setzero_ps();
  for (int64_t o = 0; o < outer.count; ++o, src += outer.step) {
    const auto* values = src;
    for (int64_t i = 0; i < inner.count; ++i, values += inner.step) {
      for (int v = 0; v < kVectors; ++v) {
        const __m256 value = Lanes::Widen(LoadAdjacent(values + v * kLanes));
        sums[v] = Lanes::Round(_mm256_add_ps(sums[v], value));
      }
    }
  }
  for (int v = 0; v < kVectors; ++v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(dst + v * kLanes),
                     Lanes::Narrow(sums[v]));
  }
}

// Eight sums that are runs.src_step apart.
template <typename Lanes>
TF_PATCHES_AVX2 void SumApart(const typename Lanes::Number* src, Steps outer,
                              Steps inner, typename Lanes::Number* dst,
                              const Runs& runs) {
  __m256 sums = _mm256_setzero_ps();
  for (int64_t o = 0; o < outer.count; ++o, src += outer.step) {
    const auto* values = src;
    for (int64_t i = 0; i < inner.count; ++i, values += inner.step) {
      const __m256 value = Lanes::Widen(LoadApart(values, runs.src_step));
      sums = Lanes::Round(_mm256_add_ps(sums, value));
    }
  }
  alignas(16) uint16_t bits[kLanes];
  _mm_store_si128(reinterpret_cast<__m128i*>(bits), Lanes::Narrow(sums));
  for (int i = 0; i < kLanes; ++i) dst[i * runs.dst_step].bits = bits[i];
}

// As in kernels/sum.h, the last step overlaps those before it.
template <typename Lanes, int kVectors>
TF_PATCHES_AVX2 void SumLongRuns(const typename Lanes::Number* src, Steps outer,
                                 Steps inner, typename Lanes::Number* dst,
                                 const Runs& runs) {
  constexpr int64_t kStep = kVectors * kLanes;
  for (int64_t n = 0; n < runs.repeats; ++n) {
    for (int64_t at = 0; at < runs.length; at += kStep) {
      const int64_t start = std::min(at, runs.length - kStep);
      SumAdjacent<Lanes, kVectors>(src + n * runs.src_step + start, outer,
                                   inner, dst + n * runs.dst_step + start);
    }
  }
}

template <typename Lanes>
TF_PATCHES_AVX2 void SumShortRuns(const typename Lanes::Number* src,
                                  Steps outer, Steps inner,
                                  typename Lanes::Number* dst,
                                  const Runs& runs) {
  for (int64_t at = 0; at < runs.repeats; at += kLanes) {
    const int64_t start = std::min(at, runs.repeats - kLanes);
    for (int64_t i = 0; i < runs.length; ++i) {
      SumApart<Lanes>(src + start * runs.src_step + i, outer, inner,
                      dst + start * runs.dst_step + i, runs);
    }
  }
}

bool HasAvx2() {
  static const bool has = __builtin_cpu_supports("avx2");
  return has;
}

template <typename Lanes>
void SumWithLanes(const typename Lanes::Number* src, Steps outer, Steps inner,
                  typename Lanes::Number* dst, const Runs& runs) {
  if (HasAvx2() && runs.length >= 2 * kLanes) {
    return SumLongRuns<Lanes, 2>(src, outer, inner, dst, runs);
  }
  if (HasAvx2() && runs.length >= kLanes) {
    return SumLongRuns<Lanes, 1>(src, outer, inner, dst, runs);
  }
  if (HasAvx2() && runs.repeats >= kLanes) {
    return SumShortRuns<Lanes>(src, outer, inner, dst, runs);
  }
  SumRuns<typename Lanes::Number>(src, outer, inner, dst, runs);
}

#undef TF_PATCHES_AVX2
#endif  // __x86_64__

}  // namespace

#ifdef __x86_64__
void SumRuns(const Half* src, Steps outer, Steps inner, Half* dst,
             const Runs& runs) {
  SumWithLanes<HalfLanes>(src, outer, inner, dst, runs);
}
void SumRuns(const BFloat16* src, Steps outer, Steps inner, BFloat16* dst,
             const Runs& runs) {
  SumWithLanes<BFloat16Lanes>(src, outer, inner, dst, runs);
}
#else
void SumRuns(const Half* src, Steps outer, Steps inner, Half* dst,
             const Runs& runs) {
  SumRuns<Half>(src, outer, inner, dst, runs);
}
void SumRuns(const BFloat16* src, Steps outer, Steps inner, BFloat16* dst,
             const Runs& runs) {
  SumRuns<BFloat16>(src, outer, inner, dst, runs);
}
#endif

}  // namespace tf_patches
