// Work that is planned once for a call, and then shared out over threads.
#ifndef TF_PATCHES_KERNELS_PLAN_H_
#define TF_PATCHES_KERNELS_PLAN_H_

#include <cstdint>
#include <functional>

#include "geometry/axis.h"

namespace tf_patches {

struct Plan {
  int64_t units;  // of work

  // Does the units `which`: reads the tensor `from`, and writes only what
  // belongs to these units in the tensor `to`, so that threads may share a
  // result.
  std::function<void(const void* from, Range which, void* to)> run;
};

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_PLAN_H_
