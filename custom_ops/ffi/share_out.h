// Shares work out over the threads that XLA computes on.
#ifndef TF_PATCHES_FFI_SHARE_OUT_H_
#define TF_PATCHES_FFI_SHARE_OUT_H_

#include <cstdint>
#include <functional>

#include "geometry/patch_grid.h"
#include "xla/ffi/api/ffi.h"

namespace tf_patches {

// Runs `work` on ranges that make up [0, units), and returns when all of it is
// done. `bytes` is what all of it moves.
void ShareOut(xla::ffi::ThreadPool& threads, int64_t units, int64_t bytes,
              std::function<void(Range)> work);

}  // namespace tf_patches

#endif  // TF_PATCHES_FFI_SHARE_OUT_H_
