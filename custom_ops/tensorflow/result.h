// Where the results of the CPU kernels live.
#ifndef TF_PATCHES_TENSORFLOW_RESULT_H_
#define TF_PATCHES_TENSORFLOW_RESULT_H_

#include <new>

#include "absl/status/status.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor_shape.h"

namespace tf_patches {

// Like `context->allocate_output`, but a large result reuses the memory of an
// earlier result.
absl::Status AllocateResult(tensorflow::OpKernelContext* context, int index,
                            const tensorflow::TensorShape& shape,
                            tensorflow::Tensor** result);

// Runs `prepare`, which may need memory for every line of every patch.
template <typename Prepare>
absl::Status WithMemory(const Prepare& prepare) {
  try {
    return prepare();
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(
        "There is no memory to plan where the patches lie.");
  }
}

}  // namespace tf_patches

#endif  // TF_PATCHES_TENSORFLOW_RESULT_H_
