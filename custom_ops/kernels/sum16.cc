#include "kernels/sum16.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "kernels/instructions.h"

namespace tf_patches {
namespace {

#ifdef TF_PATCHES_X86
// The rest of the library runs on every x86-64; these functions are called only
// where the processor has AVX2 and F16C.
#define TF_PATCHES_AVX2 [[gnu::target("avx2,f16c")]]

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

// The first kWidth values of each of as many runs as fill eight lanes.
template <int kWidth>
TF_PATCHES_AVX2 __m128i LoadRuns(const void* src, int64_t step) {
  using Bits =
      std::conditional_t<kWidth == 4, int64_t,
                         std::conditional_t<kWidth == 2, int32_t, int16_t>>;
  const auto run = [src, step](int64_t n) {
    Bits bits;
    std::memcpy(&bits, static_cast<const int16_t*>(src) + n * step,
                sizeof(bits));
    return bits;
  };
  if constexpr (kWidth == 8) return LoadAdjacent(src);
  if constexpr (kWidth == 4) return _mm_set_epi64x(run(1), run(0));
  if constexpr (kWidth == 2) {
    return _mm_setr_epi32(run(0), run(1), run(2), run(3));
  }
  return _mm_setr_epi16(run(0), run(1), run(2), run(3), run(4), run(5), run(6),
                        run(7));
}

// Stores the first `length` of kWidth values, more than half of them, by two
// moves that overlap.
template <int kWidth, typename Number>
void StoreRun(const Number* values, int64_t length, Number* dst) {
  constexpr int64_t kHalf = (kWidth + 1) / 2;
  std::copy_n(values + length - kHalf, kHalf, dst + length - kHalf);
  std::copy_n(values, kHalf, dst);
}

// A run shorter than eight values.
TF_PATCHES_AVX2 __m128i LoadPart(const void* src, int64_t length) {
  alignas(16) int16_t lanes[kLanes] = {};
  std::copy_n(static_cast<const int16_t*>(src), length, lanes);
  return LoadAdjacent(lanes);
}

// kVectors times eight sums of adjacent values: several, because each addition
// waits for the one before it.
template <typename Lanes, int kVectors>
TF_PATCHES_AVX2 void SumAdjacent(const typename Lanes::Number* src,
                                 Offsets outer, Offsets inner,
                                 typename Lanes::Number* dst) {
  __m256 sums[kVectors];
  for (__m256& sum : sums) sum = _mm256_setzero_ps();
  for (int64_t o = 0; o < outer.count; ++o) {
    for (int64_t i = 0; i < inner.count; ++i) {
      const auto* const values = src + outer.at[o] + inner.at[i];
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

// As in kernels/sum.h, the last step overlaps those before it.
template <typename Lanes, int kVectors>
TF_PATCHES_AVX2 void SumLongRuns(const typename Lanes::Number* src,
                                 Offsets outer, Offsets inner,
                                 typename Lanes::Number* dst,
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

// kVectors times eight sums, of the kWidth values of each run that begin `skip`
// before the run. Stores those that belong to it.
template <typename Lanes, int kWidth, int kVectors>
TF_PATCHES_AVX2 void SumShort(const typename Lanes::Number* src, Offsets outer,
                              Offsets inner, typename Lanes::Number* dst,
                              const Runs& runs, int64_t skip) {
  constexpr int64_t kRuns = kLanes / kWidth;
  src -= skip;
  __m256 sums[kVectors];
  for (__m256& sum : sums) sum = _mm256_setzero_ps();
  for (int64_t o = 0; o < outer.count; ++o) {
    for (int64_t i = 0; i < inner.count; ++i) {
      const auto* const values = src + outer.at[o] + inner.at[i];
      for (int v = 0; v < kVectors; ++v) {
        const __m256 value = Lanes::Widen(LoadRuns<kWidth>(
            values + v * kRuns * runs.src_step, runs.src_step));
        sums[v] = Lanes::Round(_mm256_add_ps(sums[v], value));
      }
    }
  }
  typename Lanes::Number lanes[kLanes];
  for (int v = 0; v < kVectors; ++v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(lanes), Lanes::Narrow(sums[v]));
    for (int64_t run = 0; run < kRuns; ++run, dst += runs.dst_step) {
      StoreRun<kWidth>(lanes + run * kWidth + skip, runs.length, dst);
    }
  }
}

// Runs of up to kWidth values, of which there are more than fill eight lanes.
// All but the last are followed by another, all but the first preceded: so
// reading kWidth values from the start of the former, and up to the end of the
// latter, stays within the patches.
template <typename Lanes, int kWidth>
TF_PATCHES_AVX2 void SumShortRuns(const typename Lanes::Number* src,
                                  Offsets outer, Offsets inner,
                                  typename Lanes::Number* dst,
                                  const Runs& runs) {
  constexpr int64_t kRuns = kLanes / kWidth;
  constexpr int kVectors = std::clamp(kWidth, 2, 4);
  const int64_t last = runs.repeats - 1;
  int64_t n = 0;
  for (; n + kVectors * kRuns <= last; n += kVectors * kRuns) {
    SumShort<Lanes, kWidth, kVectors>(src + n * runs.src_step, outer, inner,
                                      dst + n * runs.dst_step, runs, 0);
  }
  for (; n + kRuns <= last; n += kRuns) {
    SumShort<Lanes, kWidth, 1>(src + n * runs.src_step, outer, inner,
                               dst + n * runs.dst_step, runs, 0);
  }
  n = runs.repeats - kRuns;
  SumShort<Lanes, kWidth, 1>(src + n * runs.src_step, outer, inner,
                             dst + n * runs.dst_step, runs,
                             kWidth - runs.length);
}

template <typename Lanes>
TF_PATCHES_AVX2 void SumFewShortRuns(const typename Lanes::Number* src,
                                     Offsets outer, Offsets inner,
                                     typename Lanes::Number* dst,
                                     const Runs& runs) {
  for (int64_t n = 0; n < runs.repeats; ++n) {
    __m256 sums = _mm256_setzero_ps();
    const auto* const line = src + n * runs.src_step;
    for (int64_t o = 0; o < outer.count; ++o) {
      for (int64_t i = 0; i < inner.count; ++i) {
        const auto* const values = line + outer.at[o] + inner.at[i];
        const __m256 value = Lanes::Widen(LoadPart(values, runs.length));
        sums = Lanes::Round(_mm256_add_ps(sums, value));
      }
    }
    typename Lanes::Number lanes[kLanes];
    _mm_storeu_si128(reinterpret_cast<__m128i*>(lanes), Lanes::Narrow(sums));
    std::copy_n(lanes, runs.length, dst + n * runs.dst_step);
  }
}

template <typename Lanes>
TF_PATCHES_AVX2 __m128i AddLanes(__m128i a, __m128i b) {
  return Lanes::Narrow(
      Lanes::Round(_mm256_add_ps(Lanes::Widen(a), Lanes::Widen(b))));
}

template <typename Lanes>
TF_PATCHES_AVX2 void AddLongRun(const typename Lanes::Number* src,
                                int64_t length, typename Lanes::Number* dst) {
  int64_t at = 0;
  for (; at + kLanes <= length; at += kLanes) {
    _mm_storeu_si128(
        reinterpret_cast<__m128i*>(dst + at),
        AddLanes<Lanes>(LoadAdjacent(dst + at), LoadAdjacent(src + at)));
  }
  if (at == length) return;
  typename Lanes::Number lanes[kLanes];
  _mm_storeu_si128(reinterpret_cast<__m128i*>(lanes),
                   AddLanes<Lanes>(LoadPart(dst + at, length - at),
                                   LoadPart(src + at, length - at)));
  std::copy_n(lanes, length - at, dst + at);
}

template <typename Lanes>
void SumWithAvx2(const typename Lanes::Number* src, Offsets outer,
                 Offsets inner, typename Lanes::Number* dst, const Runs& runs) {
  const auto fill_lanes = [&runs](int64_t width) {
    return runs.length <= width && runs.length > width / 2 &&
           runs.repeats > kLanes / width;
  };
  const auto sum = runs.length >= 2 * kLanes ? SumLongRuns<Lanes, 2>
                   : runs.length >= kLanes   ? SumLongRuns<Lanes, 1>
                   : fill_lanes(1)           ? SumShortRuns<Lanes, 1>
                   : fill_lanes(2)           ? SumShortRuns<Lanes, 2>
                   : fill_lanes(4)           ? SumShortRuns<Lanes, 4>
                   : fill_lanes(8)           ? SumShortRuns<Lanes, 8>
                   : runs.length > 1         ? SumFewShortRuns<Lanes>
                                             : SumRuns<typename Lanes::Number>;
  sum(src, outer, inner, dst, runs);
}

template <typename Lanes>
void SumWithLanes(const typename Lanes::Number* src, Offsets outer,
                  Offsets inner, typename Lanes::Number* dst,
                  const Runs& runs) {
  const auto sum = MayUse(Instructions::kAvx2)
                       ? SumWithAvx2<Lanes>
                       : SumRuns<typename Lanes::Number>;
  sum(src, outer, inner, dst, runs);
}

template <typename Lanes>
void AddRunWithLanes(const typename Lanes::Number* src, int64_t length,
                     typename Lanes::Number* dst) {
  const auto add = MayUse(Instructions::kAvx2) ? AddLongRun<Lanes>
                                               : AddRun<typename Lanes::Number>;
  add(src, length, dst);
}

#undef TF_PATCHES_AVX2
#endif  // TF_PATCHES_X86

}  // namespace

#ifdef TF_PATCHES_X86
void SumRuns(const Half* src, Offsets outer, Offsets inner, Half* dst,
             const Runs& runs) {
  SumWithLanes<HalfLanes>(src, outer, inner, dst, runs);
}
void SumRuns(const BFloat16* src, Offsets outer, Offsets inner, BFloat16* dst,
             const Runs& runs) {
  SumWithLanes<BFloat16Lanes>(src, outer, inner, dst, runs);
}
void AddRun(const Half* src, int64_t length, Half* dst) {
  AddRunWithLanes<HalfLanes>(src, length, dst);
}
void AddRun(const BFloat16* src, int64_t length, BFloat16* dst) {
  AddRunWithLanes<BFloat16Lanes>(src, length, dst);
}
#else
void SumRuns(const Half* src, Offsets outer, Offsets inner, Half* dst,
             const Runs& runs) {
  SumRuns<Half>(src, outer, inner, dst, runs);
}
void SumRuns(const BFloat16* src, Offsets outer, Offsets inner, BFloat16* dst,
             const Runs& runs) {
  SumRuns<BFloat16>(src, outer, inner, dst, runs);
}
void AddRun(const Half* src, int64_t length, Half* dst) {
  AddRun<Half>(src, length, dst);
}
void AddRun(const BFloat16* src, int64_t length, BFloat16* dst) {
  AddRun<BFloat16>(src, length, dst);
}
#endif

}  // namespace tf_patches
