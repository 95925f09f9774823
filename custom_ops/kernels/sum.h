// Sums over a lattice of memory, each sum made in a register and stored once.
#ifndef TF_PATCHES_KERNELS_SUM_H_
#define TF_PATCHES_KERNELS_SUM_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

#include "geometry/axis.h"
#include "kernels/instructions.h"
#include "kernels/number.h"

namespace tf_patches {

// Where the values of a sum lie, in elements after the first value, whose
// offset is 0.
struct Offsets {
  const int64_t* at;
  int64_t count;
  bool are_even;  // each as far from the one before it

  // Calls `use` with each value of those from `start` on.
  template <typename T, typename Use>
  void ForEach(const T* start, const Use& use) const {
    for (int64_t i = 0; i < count; ++i) use(start + at[i]);
  }
};

// Offsets that are planned, and the first value's own, from wherever.
struct OffsetList {
  explicit OffsetList(std::vector<int64_t> from_start)
      : first(from_start.empty() ? 0 : from_start[0]),
        at(std::move(from_start)) {
    for (int64_t& offset : at) offset -= first;
    for (size_t i = 2; i < at.size(); ++i) {
      are_even &= at[i] - at[i - 1] == at[1];
    }
  }

  Offsets offsets() const {
    return {at.data(), static_cast<int64_t>(at.size()), are_even};
  }

  int64_t first;
  std::vector<int64_t> at;
  bool are_even = true;
};

// Offsets at equal distances. Without a list to read, folds take up to a fifth
// less time.
struct Steps {
  explicit Steps(Offsets offsets)
      : count(offsets.count), step(count > 1 ? offsets.at[1] : 0) {}

  template <typename T, typename Use>
  void ForEach(const T* value, const Use& use) const {
    for (int64_t i = count; i > 0; --i, value += step) use(value);
  }

  int64_t count;
  int64_t step;
};

// `repeats` runs of `length` elements each, so far apart. If `ahead` is not 0,
// the values `ahead` of the first value of a run will be read next.
struct Runs {
  int64_t length;
  int64_t repeats;
  int64_t dst_step;
  int64_t src_step;
  int64_t ahead;
};

// Sums of adjacent values.
template <typename T, int kLanes, int kBytes, typename = void>
struct Lanes {
  T sums[kLanes] = {};

  void Add(const T* values) {
    for (int i = 0; i < kLanes; ++i) {
      sums[i] = tf_patches::Add(sums[i], values[i]);
    }
  }
};

// In vectors of kBytes. Without them, compilers make the sums one by one.
template <typename T, int kLanes, int kBytes>
struct Lanes<T, kLanes, kBytes,
             std::enable_if_t<std::is_arithmetic_v<T> &&
                              kLanes * sizeof(T) % kBytes == 0>> {
  typedef T Vector [[gnu::vector_size(kBytes)]];
  static constexpr int kVectors = kLanes * sizeof(T) / kBytes;
  Vector sums[kVectors] = {};

  void Add(const T* values) {
    for (int i = 0; i < kVectors; ++i) {
      Vector more;
      std::memcpy(&more, values + i * (kBytes / sizeof(T)), kBytes);
      sums[i] += more;
    }
  }
};

// Makes kAcross times kLanes sums at once, because each addition waits for the
// one before it: adjacent lanes of kAcross runs. Reads kLanes values and writes
// the sums of kStored. The arrays are of constant size, so that compilers keep
// them in registers.
template <typename T, int kAcross, int kLanes, int kStored, int kBytes,
          typename Inner>
void SumBlock(const T* src, Offsets outer, Inner inner, T* dst,
              const Runs& runs) {
  Lanes<T, kLanes, kBytes> lanes[kAcross];
  outer.ForEach(src, [&](const T* line) {
    inner.ForEach(line, [&](const T* values) {
      for (int run = 0; run < kAcross; ++run) {
        lanes[run].Add(values + run * runs.src_step);
      }
    });
  });
  for (int run = 0; run < kAcross; ++run) {
    void* const to = dst + run * runs.dst_step;
    std::memcpy(to, &lanes[run].sums, kStored * sizeof(T));
  }
}

// As a number: a pointer must not point beyond the end of the patches.
inline void Prefetch(uintptr_t first, int64_t bytes) {
  for (int64_t at = 0; at < bytes; at += 64) {
    __builtin_prefetch(reinterpret_cast<const void*>(first + at));
  }
}

// Makes the sums of the runs `which`. A run's last block overlaps the one
// before it: sums are made from `src` alone, so making one twice does no harm.
template <typename T, int kAcross, int kLanes, int kStored = kLanes,
          int kBytes = 16, typename Inner>
void SumBlocks(const T* src, Offsets outer, Inner inner, T* dst,
               const Runs& runs, Range which) {
  int64_t n = which.begin;
  for (; n + kAcross <= which.end; n += kAcross) {
    if (runs.ahead != 0) {
      constexpr int64_t kSize = sizeof(T);
      Prefetch(reinterpret_cast<uintptr_t>(src) +
                   (n * runs.src_step + runs.ahead) * kSize,
               kAcross * runs.src_step * kSize);
    }
    for (int64_t at = 0; at < runs.length; at += kStored) {
      const int64_t start = std::min(at, runs.length - kStored);
      SumBlock<T, kAcross, kLanes, kStored, kBytes>(
          src + n * runs.src_step + start, outer, inner,
          dst + n * runs.dst_step + start, runs);
    }
  }
  if constexpr (kAcross > 1) {
    SumBlocks<T, 1, kLanes, kStored, kBytes>(src, outer, inner, dst, runs,
                                             {n, which.end});
  }
}

// Sums of a single value each, if patches do not overlap. Like all sums they
// begin with +0: -0 becomes +0.
template <typename T>
void SumSingles(const T* src, T* dst, const Runs& runs) {
  for (int64_t n = runs.repeats; n > 0; --n) {
    for (int64_t at = 0; at < runs.length; ++at) dst[at] = Add(T(), src[at]);
    src += runs.src_step;
    dst += runs.dst_step;
  }
}

// As SumRuns, below.
template <typename T, typename Inner>
void SumRunsOf(const T* src, Offsets outer, Inner inner, T* dst,
               const Runs& runs) {
  const Range all = {0, runs.repeats};
  if constexpr (std::is_arithmetic_v<T>) {
    // With fewer integers than a vector holds, wide vectors are slow.
    constexpr int kFull = std::max<int>(16, 64 / sizeof(T));
    if (runs.length >= kFull) {
      return WithWidestVectors([&](auto bytes) {
        if (runs.length < 2 * kFull) {
          return SumBlocks<T, 1, kFull, kFull, bytes>(src, outer, inner, dst,
                                                      runs, all);
        }
        SumBlocks<T, 1, 2 * kFull, 2 * kFull, bytes>(src, outer, inner, dst,
                                                     runs, all);
      });
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

// Element e of run n of `dst` becomes the sum, in this order, over o and i of
// src[e + n * src_step + outer.at[o] + inner.at[i]].
template <typename T>
void SumRuns(const T* src, Offsets outer, Offsets inner, T* dst,
             const Runs& runs) {
  if (inner.count == 1) std::swap(outer, inner);
  if (!inner.are_even) return SumRunsOf(src, outer, inner, dst, runs);
  if (outer.count * inner.count == 1)
    return SumSingles(src + outer.at[0], dst, runs);
  SumRunsOf(src, outer, Steps(inner), dst, runs);
}

// Adds `length` values to those at `dst`, which lie elsewhere.
template <typename T>
void AddRun(const T* __restrict src, int64_t length, T* __restrict dst) {
  for (int64_t i = 0; i < length; ++i) dst[i] = Add(dst[i], src[i]);
}

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_SUM_H_
