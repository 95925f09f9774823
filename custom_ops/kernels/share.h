// How work is shared out over threads.
#ifndef TF_PATCHES_KERNELS_SHARE_H_
#define TF_PATCHES_KERNELS_SHARE_H_

#include <algorithm>
#include <cstdint>

namespace tf_patches {

// Below two shares of this size, two threads take longer than one: a thread
// must be woken, and its memory is in the other thread's cache from last time.
inline constexpr int64_t kBytesPerShare = 2 << 20;

// Several shares for each thread, so that others take over the work of a
// delayed thread.
inline constexpr int64_t kSharesPerThread = 4;

// How many of `units` of work to hand out at a time, at least one. All units
// move `bytes` together.
inline int64_t UnitsPerShare(int64_t units, int64_t bytes, int64_t threads) {
  const int64_t shares = std::clamp<int64_t>(bytes / kBytesPerShare, 1,
                                             threads * kSharesPerThread);
  return (units - 1) / std::min(units, shares) + 1;
}

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_SHARE_H_
