// How the CPU kernels share their work out.
#ifndef TF_PATCHES_TENSORFLOW_SHARE_OUT_H_
#define TF_PATCHES_TENSORFLOW_SHARE_OUT_H_

#include <cstdint>
#include <functional>
#include <optional>

#include "geometry/patch_grid.h"
#include "kernels/share.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace tf_patches {

// Shares of `units` each, by the one way that this TensorFlow has: old ones
// have the constructor alone, and new ones warn of it.
template <typename Params>
auto SharesOf(int64_t units, int) -> decltype(Params::Fixed(units)) {
  return Params::Fixed(units);
}
template <typename Params>
Params SharesOf(int64_t units, long) {
  return Params(tsl::thread::ThreadPool::SchedulingStrategy::kFixedBlockSize,
                std::nullopt, units);
}

// Runs `work` on ranges that make up [0, units), on TensorFlow's threads.
inline void ShareOut(tensorflow::OpKernelContext* context, int64_t units,
                     int64_t bytes, const std::function<void(Range)>& work) {
  auto* const threads =
      context->device()->tensorflow_cpu_worker_threads()->workers;
  const int64_t share = UnitsPerShare(units, bytes, threads->NumThreads());
  if (share >= units) return work({0, units});
  threads->ParallelFor(
      units, SharesOf<tsl::thread::ThreadPool::SchedulingParams>(share, 0),
      [&work](int64_t begin, int64_t end) { work({begin, end}); });
}

}  // namespace tf_patches

#endif  // TF_PATCHES_TENSORFLOW_SHARE_OUT_H_
