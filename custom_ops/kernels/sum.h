// Sums over a lattice of memory, each sum made in a register and stored once.
#ifndef TF_PATCHES_KERNELS_SUM_H_
#define TF_PATCHES_KERNELS_SUM_H_

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "kernels/number.h"

namespace tf_patches {

struct Steps {
  int64_t count;
  int64_t step;  // in elements
};

// `repeats` runs of `length` elements each, so far apart.
struct Runs {
  int64_t length;
  int64_t repeats;
  int64_t dst_step;
  int64_t src_step;
};

// kLanes sums side by side. The arrays are of constant size, so that compilers
// keep them in registers.
template <typename T, int kLanes>
void SumLanes(const T* src, Steps outer, Steps inner, T* dst) {
  T sums[kLanes] = {};
  for (int64_t o = 0; o < outer.count; ++o, src += outer.step) {
    const T* values = src;
    for (int64_t i = 0; i < inner.count; ++i, values += inner.step) {
      for (int lane = 0; lane < kLanes; ++lane) {
        sums[lane] = Add(sums[lane], values[lane]);
      }
    }
  }
  std::copy_n(sums, kLanes, dst);
}

// The lanes of the last step overlap those before it: sums are made from `src`
// alone, so making one twice does no harm.
template <typename T, int kLanes>
void SumWide(const T* src, Steps outer, Steps inner, T* dst, const Runs& runs) {
  for (int64_t n = runs.repeats; n > 0; --n) {
    for (int64_t at = 0; at < runs.length; at += kLanes) {
      const int64_t start = std::min(at, runs.length - kLanes);
      SumLanes<T, kLanes>(src + start, outer, inner, dst + start);
    }
    src += runs.src_step;
    dst += runs.dst_step;
  }
}

// kInner, where not zero, is inner.count.
template <typename T, int kInner>
void SumNarrow(const T* src, Steps outer, Steps inner, T* dst,
               const Runs& runs) {
  const int64_t count = kInner > 0 ? kInner : inner.count;
  for (int64_t n = runs.repeats; n > 0; --n) {
    for (int64_t at = 0; at < runs.length; ++at) {
      T sum = {};
      const T* line = src + at;
      for (int64_t o = outer.count; o > 0; --o, line += outer.step) {
        for (int64_t i = 0; i < count; ++i) {
          sum = Add(sum, line[i * inner.step]);
        }
      }
      dst[at] = sum;
    }
    src += runs.src_step;
    dst += runs.dst_step;
  }
}

// Sums of one value each, where patches do not overlap. From +0 on, as all
// sums: -0 becomes +0.
template <typename T>
void SumSingles(const T* src, T* dst, const Runs& runs) {
  for (int64_t n = runs.repeats; n > 0; --n) {
    for (int64_t at = 0; at < runs.length; ++at) dst[at] = Add(T(), src[at]);
    src += runs.src_step;
    dst += runs.dst_step;
  }
}

// Element e of run n of `dst` becomes the sum, in this order, over o and i of
// src[e + n * src_step + o * outer.step + i * inner.step].
template <typename T>
void SumRuns(const T* src, Steps outer, Steps inner, T* dst, const Runs& runs) {
  if (outer.count == 1 && inner.count == 1) return SumSingles(src, dst, runs);
  if (runs.length >= 16) return SumWide<T, 16>(src, outer, inner, dst, runs);
  if (runs.length >= 4) return SumWide<T, 4>(src, outer, inner, dst, runs);
  switch (inner.count) {
    case 1:
      return SumNarrow<T, 1>(src, outer, inner, dst, runs);
    case 2:
      return SumNarrow<T, 2>(src, outer, inner, dst, runs);
    case 3:
      return SumNarrow<T, 3>(src, outer, inner, dst, runs);
    case 4:
      return SumNarrow<T, 4>(src, outer, inner, dst, runs);
    case 5:
      return SumNarrow<T, 5>(src, outer, inner, dst, runs);
    default:
      return SumNarrow<T, 0>(src, outer, inner, dst, runs);
  }
}

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_SUM_H_
