// Sums over a lattice of memory, each sum made in a register and stored once.
#ifndef TF_PATCHES_KERNELS_SUM_H_
#define TF_PATCHES_KERNELS_SUM_H_

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "geometry/axis.h"
#include "kernels/instructions.h"
#include "kernels/number.h"

namespace tf_patches {

// Where the values of a sum lie, in elements from a common start.
struct Offsets {
  const int64_t* at;
  int64_t count;
};

// `repeats` runs of `length` elements each, so far apart. What lies `ahead` of
// a run's start, where that is not 0, will be read next.
struct Runs {
  int64_t length;
  int64_t repeats;
  int64_t dst_step;
  int64_t src_step;
  int64_t ahead;
};

// Makes kAcross times kLanes sums at once, because each addition waits for the
// one before it: adjacent lanes of kAcross runs. Reads kLanes values and writes
// the sums of kStored. The arrays are of constant size, so that compilers keep
// them in registers.
template <typename T, int kAcross, int kLanes, int kStored = kLanes>
void SumBlock(const T* src, Offsets outer, Offsets inner, T* dst,
              const Runs& runs) {
  T sums[kAcross][kLanes] = {};
  for (int64_t o = 0; o < outer.count; ++o) {
    const T* const line = src + outer.at[o];
    for (int64_t i = 0; i < inner.count; ++i) {
      const T* const values = line + inner.at[i];
      for (int run = 0; run < kAcross; ++run) {
        for (int lane = 0; lane < kLanes; ++lane) {
          sums[run][lane] =
              Add(sums[run][lane], values[run * runs.src_step + lane]);
        }
      }
    }
  }
  for (int run = 0; run < kAcross; ++run) {
    std::copy_n(sums[run], kStored, dst + run * runs.dst_step);
  }
}

// By number, as what will be read next may lie beyond the end of the patches.
inline void Prefetch(uintptr_t first, int64_t bytes) {
  for (int64_t at = 0; at < bytes; at += 64) {
    __builtin_prefetch(reinterpret_cast<const void*>(first + at));
  }
}

// Makes the sums of the runs `which`. A run's last block overlaps the one
// before it: sums are made from `src` alone, so making one twice does no harm.
template <typename T, int kAcross, int kLanes, int kStored = kLanes>
void SumBlocks(const T* src, Offsets outer, Offsets inner, T* dst,
               const Runs& runs, Range which) {
  int64_t n = which.begin;
  for (; n + kAcross <= which.end; n += kAcross) {
    if (runs.ahead != 0) {
      constexpr int64_t kBytes = sizeof(T);
      Prefetch(reinterpret_cast<uintptr_t>(src) +
                   (n * runs.src_step + runs.ahead) * kBytes,
               kAcross * runs.src_step * kBytes);
    }
    for (int64_t at = 0; at < runs.length; at += kStored) {
      const int64_t start = std::min(at, runs.length - kStored);
      SumBlock<T, kAcross, kLanes, kStored>(
          src + n * runs.src_step + start, outer, inner,
          dst + n * runs.dst_step + start, runs);
    }
  }
  if constexpr (kAcross > 1) {
    SumBlocks<T, 1, kLanes, kStored>(src, outer, inner, dst, runs,
                                     {n, which.end});
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
// src[e + n * src_step + outer.at[o] + inner.at[i]].
template <typename T>
void SumRuns(const T* src, Offsets outer, Offsets inner, T* dst,
             const Runs& runs) {
  const Range all = {0, runs.repeats};
  if (outer.count == 1 && inner.count == 1) {
    return SumSingles(src + outer.at[0] + inner.at[0], dst, runs);
  }
  if constexpr (std::is_arithmetic_v<T>) {
    // Of fewer integers than fill a vector, wide ones make slow code.
    constexpr int kFull = std::max<int>(16, 64 / sizeof(T));
    if (runs.length >= kFull) {
      return WithWidestVectors(
          [&] { SumBlocks<T, 1, kFull>(src, outer, inner, dst, runs, all); });
    }
  }
  if (runs.length >= 16) {
    return SumBlocks<T, 1, 16>(src, outer, inner, dst, runs, all);
  }
  if (runs.length >= 4) {
    return SumBlocks<T, 4, 4>(src, outer, inner, dst, runs, all);
  }
  if (runs.length == 3) {
    // A pixel's red, green and blue take four lanes, of which the last belongs
    // to what follows: all but the last run are followed by another.
    const Range followed = {0, runs.repeats - 1};
    SumBlocks<T, 4, 4, 3>(src, outer, inner, dst, runs, followed);
    return SumBlocks<T, 1, 1>(src, outer, inner, dst, runs,
                              {followed.end, all.end});
  }
  SumBlocks<T, 4, 1>(src, outer, inner, dst, runs, all);
}

// Adds `length` values to those at `dst`, which lie elsewhere.
template <typename T>
void AddRun(const T* __restrict src, int64_t length, T* __restrict dst) {
  for (int64_t i = 0; i < length; ++i) dst[i] = Add(dst[i], src[i]);
}

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_SUM_H_
