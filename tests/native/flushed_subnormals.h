// What TensorFlow does to the threads that run its kernels.
#ifndef TF_PATCHES_TESTS_NATIVE_FLUSHED_SUBNORMALS_H_
#define TF_PATCHES_TESTS_NATIVE_FLUSHED_SUBNORMALS_H_

#ifdef __SSE__
#include <xmmintrin.h>
#endif

namespace tf_patches {

// While it lives, this thread takes subnormal floats for zeros, where that is
// known how to be done.
class FlushedSubnormals {
 public:
#ifdef __SSE__
  FlushedSubnormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040); }
  ~FlushedSubnormals() { _mm_setcsr(before_); }

 private:
  const unsigned before_;
#else
  FlushedSubnormals() {}
  ~FlushedSubnormals() {}
#endif
};

}  // namespace tf_patches

#endif  // TF_PATCHES_TESTS_NATIVE_FLUSHED_SUBNORMALS_H_
