// A square of lanes turned over its diagonal, in registers.
#ifndef TF_PATCHES_KERNELS_TRANSPOSE_H_
#define TF_PATCHES_KERNELS_TRANSPOSE_H_

#include <cstdint>

#include "kernels/instructions.h"

#ifdef TF_PATCHES_X86

namespace tf_patches {

template <int kLaneBytes>
void Interleave(__m128i a, __m128i b, __m128i* low, __m128i* high) {
  static_assert(kLaneBytes == 1 || kLaneBytes == 2);
  if constexpr (kLaneBytes == 1) {
    *low = _mm_unpacklo_epi8(a, b);
    *high = _mm_unpackhi_epi8(a, b);
  } else {
    *low = _mm_unpacklo_epi16(a, b);
    *high = _mm_unpackhi_epi16(a, b);
  }
}

// Lane j of rows[i] becomes lane i of rows[j]. To do so, interleaves each row
// with the row half a square further on, once for each halving of the lanes.
template <int kLaneBytes>
void Transpose(__m128i (&rows)[16 / kLaneBytes]) {
  constexpr int kLanes = 16 / kLaneBytes;
  for (int width = 1; width < kLanes; width *= 2) {
    __m128i mixed[kLanes];
    for (int i = 0; i < kLanes / 2; ++i) {
      Interleave<kLaneBytes>(rows[i], rows[i + kLanes / 2], &mixed[2 * i],
                             &mixed[2 * i + 1]);
    }
    for (int i = 0; i < kLanes; ++i) rows[i] = mixed[i];
  }
}

}  // namespace tf_patches

#endif  // TF_PATCHES_X86

#endif  // TF_PATCHES_KERNELS_TRANSPOSE_H_
