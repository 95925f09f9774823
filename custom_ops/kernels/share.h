// How work is shared out over threads, whoever's threads they are.
#ifndef TF_PATCHES_KERNELS_SHARE_H_
#define TF_PATCHES_KERNELS_SHARE_H_

#include <algorithm>
#include <cstdint>

namespace tf_patches {

// Fewer bytes than this are moved sooner by one thread than another is woken.
inline constexpr int64_t kBytesPerShare = 128 << 10;

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
