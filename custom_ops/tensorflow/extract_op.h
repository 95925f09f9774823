// The CPU kernel of extraction, under whatever op's name it is registered.
#ifndef TF_PATCHES_TENSORFLOW_EXTRACT_OP_H_
#define TF_PATCHES_TENSORFLOW_EXTRACT_OP_H_

#include <cstddef>

#include "geometry/patch_grid.h"
#include "geometry/patch_spec.h"
#include "kernels/extract.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor_shape.h"
#include "tensorflow/request.h"
#include "tensorflow/result.h"
#include "tensorflow/share_out.h"

namespace tf_patches {

class ExtractPatchesOp : public tensorflow::OpKernel {
 public:
  explicit ExtractPatchesOp(tensorflow::OpKernelConstruction* context)
      : OpKernel(context) {
    OP_REQUIRES_OK(context, ReadPatchSpec(context, &spec_));
  }

  void Compute(tensorflow::OpKernelContext* context) override {
    const tensorflow::Tensor& images = context->input(0);
    OP_REQUIRES(context, images.dims() == 4,
                ToStatus(WrongImages(images.shape().DebugString())));
    PatchGrid grid;
    OP_REQUIRES_OK(context, ToStatus(MakePatchGrid(
                                {images.dim_size(0), images.dim_size(1),
                                 images.dim_size(2), images.dim_size(3)},
                                spec_, &grid)));
    tensorflow::Tensor* patches = nullptr;
    OP_REQUIRES_OK(context,
                   AllocateResult(context, 0,
                                  tensorflow::TensorShape(grid.patches_shape()),
                                  &patches));
    if (patches->NumElements() == 0) return;
    const Extraction extract =
        PlanExtraction(grid, tensorflow::DataTypeSize(images.dtype()));
    ShareOut(
        context, grid.patch_count(), patches->TotalBytes(),
        [&](Range which) { extract(images.data(), which, patches->data()); });
  }

 private:
  PatchSpec spec_;
};

}  // namespace tf_patches

#endif  // TF_PATCHES_TENSORFLOW_EXTRACT_OP_H_
