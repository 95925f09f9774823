// The kind of numbers in a tensor, which is known when the library runs.
#ifndef TF_PATCHES_KERNELS_NUMBER_KIND_H_
#define TF_PATCHES_KERNELS_NUMBER_KIND_H_

namespace tf_patches {

// The numbers that can be reduced. Sums of integers wrap around.
enum class Number {
  kBFloat16,
  kHalf,
  kFloat,
  kDouble,
  kComplexFloat,
  kComplexDouble,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kUint8,
  kUint16,
  kUint32,
  kUint64,
};

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_NUMBER_KIND_H_
