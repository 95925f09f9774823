// The sums of kernels/sum.h for numbers of 16 bits, which are converted at
// every addition: eight at a time if the processor can.
#ifndef TF_PATCHES_KERNELS_SUM16_H_
#define TF_PATCHES_KERNELS_SUM16_H_

#include "kernels/number.h"
#include "kernels/sum.h"

namespace tf_patches {

void SumRuns(const Half* src, Offsets outer, Offsets inner, Half* dst,
             const Runs& runs);
void SumRuns(const BFloat16* src, Offsets outer, Offsets inner, BFloat16* dst,
             const Runs& runs);

void AddRun(const Half* src, int64_t length, Half* dst);
void AddRun(const BFloat16* src, int64_t length, BFloat16* dst);

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_SUM16_H_
