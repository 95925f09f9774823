// How work is shared out over threads, whoever's threads they are.
#ifndef TF_PATCHES_KERNELS_SHARE_H_
#define TF_PATCHES_KERNELS_SHARE_H_

#include <algorithm>
#include <cstdint>

namespace tf_patches {

// Two threads take longer than one over less than two shares of this size: one
// has to be woken, and what each writes is in the other's cache from last time.
inline constexpr int64_t kBytesPerShare = 2 << 20;

// Shares for each thread, so that one that is held up leaves work to others.
inline constexpr int64_t kSharesPerThread = 4;

// Of `units` of work, at least one, that move `bytes` in all, how many to hand
// out at a time.
inline int64_t UnitsPerShare(int64_t units, int64_t bytes, int64_t threads) {
  const int64_t shares = std::clamp<int64_t>(bytes / kBytesPerShare, 1,
                                             threads * kSharesPerThread);
  return (units - 1) / std::min(units, shares) + 1;
}

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_SHARE_H_
