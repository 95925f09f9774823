// What the kernels of folds read of their inputs.
#ifndef TF_PATCHES_TENSORFLOW_FOLD_INPUTS_H_
#define TF_PATCHES_TENSORFLOW_FOLD_INPUTS_H_

#include <cstdint>

#include "geometry/error.h"
#include "geometry/patch_grid.h"
#include "kernels/number_kind.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/request.h"

namespace tf_patches {

// Reads the input `image_shape`, a vector with a number for each dimension.
inline absl::Status ReadImageShape(const tensorflow::Tensor& tensor, int axes,
                                   Shape* shape) {
  if (tensor.dims() != 1 || tensor.NumElements() != axes + 2) {
    return ToStatus(WrongImageShape(axes, tensor.shape().DebugString()));
  }
  for (int i = 0; i < axes + 2; ++i) {
    shape->push_back(tensor.dtype() == tensorflow::DT_INT32
                         ? tensor.vec<int32_t>()(i)
                         : tensor.vec<int64_t>()(i));
  }
  return absl::OkStatus();
}

// The op definition admits no other dtype.
inline Number NumberOf(tensorflow::DataType dtype) {
  switch (dtype) {
    case tensorflow::DT_BFLOAT16:
      return Number::kBFloat16;
    case tensorflow::DT_HALF:
      return Number::kHalf;
    case tensorflow::DT_FLOAT:
      return Number::kFloat;
    case tensorflow::DT_DOUBLE:
      return Number::kDouble;
    case tensorflow::DT_COMPLEX64:
      return Number::kComplexFloat;
    case tensorflow::DT_COMPLEX128:
      return Number::kComplexDouble;
    case tensorflow::DT_INT8:
      return Number::kInt8;
    case tensorflow::DT_INT16:
      return Number::kInt16;
    case tensorflow::DT_INT32:
      return Number::kInt32;
    case tensorflow::DT_INT64:
      return Number::kInt64;
    case tensorflow::DT_UINT8:
      return Number::kUint8;
    case tensorflow::DT_UINT16:
      return Number::kUint16;
    case tensorflow::DT_UINT32:
      return Number::kUint32;
    default:
      return Number::kUint64;
  }
}

// Weights that are not given are an empty vector.
inline bool IsGiven(const tensorflow::Tensor& weights) {
  return weights.dims() != 1 || weights.NumElements() > 0;
}

inline const void* DataOf(const tensorflow::Tensor& weights) {
  return IsGiven(weights) ? weights.data() : nullptr;
}

}  // namespace tf_patches

#endif  // TF_PATCHES_TENSORFLOW_FOLD_INPUTS_H_
