// The CPU kernel of extraction, for ops of several names.
#ifndef TF_PATCHES_TENSORFLOW_EXTRACT_OP_H_
#define TF_PATCHES_TENSORFLOW_EXTRACT_OP_H_

#include <string>

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
  using OpKernel::OpKernel;

  void Compute(tensorflow::OpKernelContext* context) override {
    const tensorflow::Tensor& images = context->input(0);
    PatchSpec spec;
    OP_REQUIRES_OK(context, ReadSpec(images, &spec));
    const auto shape = images.shape().dim_sizes();
    PatchGrid grid;
    OP_REQUIRES_OK(
        context, ToStatus(MakePatchGrid(Shape(shape.begin(), shape.end()), spec,
                                        &grid)));
    tensorflow::Tensor* patches = nullptr;
    OP_REQUIRES_OK(context,
                   AllocateResult(context, 0,
                                  tensorflow::TensorShape(grid.patches_shape()),
                                  &patches));
    if (patches->NumElements() == 0) return;
    const Plan plan = PlanExtraction(
        grid, tensorflow::DataTypeSize(images.dtype()), constant_values_);
    ShareOut(context, plan.units, patches->TotalBytes(), [&](Range which) {
      plan.run(images.data(), which, patches->data());
    });
  }

 protected:
  PatchAttributes attributes_;
  std::string constant_values_;  // the bytes of an element, empty for zero
  int axes_ = 0;                 // of all images; 0 if any number will do

 private:
  absl::Status ReadSpec(const tensorflow::Tensor& images,
                        PatchSpec* spec) const {
    const int dims = images.dims();
    const int axes = axes_ > 0 ? axes_ : CountAxes(dims, attributes_);
    if (auto error = ParsePatchSpec(attributes_, axes, spec)) {
      return ToStatus(error);
    }
    if (dims == axes + 2) return absl::OkStatus();
    return ToStatus(WrongImages(axes, images.shape().DebugString()));
  }
};

}  // namespace tf_patches

#endif  // TF_PATCHES_TENSORFLOW_EXTRACT_OP_H_
