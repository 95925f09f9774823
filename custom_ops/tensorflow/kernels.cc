// The CPU kernels of our ops: check, allocate, share the work out.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "geometry/patch_grid.h"
#include "geometry/patch_spec.h"
#include "geometry/placement.h"
#include "kernels/fold.h"
#include "kernels/fold_weighted.h"
#include "kernels/weights.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor_shape.h"
#include "tensorflow/extract_op.h"
#include "tensorflow/fold_inputs.h"
#include "tensorflow/request.h"
#include "tensorflow/result.h"
#include "tensorflow/share_out.h"

namespace tf_patches {
namespace {

using ::tensorflow::OpKernel;
using ::tensorflow::OpKernelConstruction;
using ::tensorflow::OpKernelContext;
using ::tensorflow::Tensor;
using ::tensorflow::TensorShape;

class OwnExtractPatchesOp : public ExtractPatchesOp {
 public:
  explicit OwnExtractPatchesOp(OpKernelConstruction* context)
      : ExtractPatchesOp(context) {
    OP_REQUIRES_OK(context, ReadAttributes(context, &attributes_));
    OP_REQUIRES_OK(context, ReadConstant(context, &constant_values_));
  }
};

class FoldPatchesOp : public OpKernel {
 public:
  explicit FoldPatchesOp(OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, ReadAttributes(context, &attributes_));
    number_ = NumberOf(context->input_type(0));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor& patches = context->input(0);
    const int axes = CountAxes(patches.dims(), attributes_);
    PatchSpec spec;
    OP_REQUIRES_OK(context, ToStatus(ParsePatchSpec(attributes_, axes, &spec)));
    OP_REQUIRES(context, patches.dims() == axes + 2,
                ToStatus(WrongPatches(axes, patches.shape().DebugString())));
    Shape image_shape;
    OP_REQUIRES_OK(context,
                   ReadImageShape(context->input(1), axes, &image_shape));
    PatchGrid grid;
    OP_REQUIRES_OK(context, ToStatus(MakePatchGrid(image_shape, spec, &grid)));
    const TensorShape expected(grid.patches_shape());
    OP_REQUIRES(context, patches.shape() == expected,
                ToStatus(Mismatch(patches.shape().DebugString(),
                                  TensorShape(image_shape).DebugString(),
                                  expected.DebugString())));
    OP_REQUIRES_OK(context, CheckWeights(context, spec));
    Tensor* images = nullptr;
    OP_REQUIRES_OK(
        context, AllocateResult(context, 0, TensorShape(image_shape), &images));
    if (images->NumElements() == 0) return;
    std::vector<Plan> plans;
    OP_REQUIRES_OK(context, WithMemory([&] {
                     plans = MakePlans(context, grid);
                     return absl::OkStatus();
                   }));
    for (const Plan& plan : plans) {
      ShareOut(context, plan.units,
               std::max(images->TotalBytes(), patches.TotalBytes()),
               [&](Range which) {
                 plan.run(patches.data(), which, images->data());
               });
    }
  }

 protected:
  virtual absl::Status CheckWeights(OpKernelContext*, const PatchSpec&) const {
    return absl::OkStatus();
  }

  // One after the other.
  virtual std::vector<Plan> MakePlans(OpKernelContext*,
                                      const PatchGrid& grid) const {
    return {PlanFolding(grid, number_)};
  }

  PatchAttributes attributes_;
  Number number_;
};

class FoldWeightedPatchesOp : public FoldPatchesOp {
 public:
  explicit FoldWeightedPatchesOp(OpKernelConstruction* context)
      : FoldPatchesOp(context) {
    OP_REQUIRES_OK(context, ReadReduction(context, &reduction_));
    OP_REQUIRES_OK(context, CheckReduction(reduction_, context->input_type(0)));
  }

 protected:
  absl::Status CheckWeights(OpKernelContext* context,
                            const PatchSpec& spec) const override {
    const Tensor& weights = context->input(2);
    const Shape sizes = spec.sizes();
    if (!IsGiven(weights) || weights.shape() == TensorShape(sizes)) {
      return absl::OkStatus();
    }
    return ToStatus(WrongWeights(sizes, weights.shape().DebugString()));
  }

  std::vector<Plan> MakePlans(OpKernelContext* context,
                              const PatchGrid& grid) const override {
    Weights weights;
    weights.window = DataOf(context->input(2));
    return PlanWeightedFolding(grid, number_, reduction_, weights);
  }

 private:
  Reduction reduction_;
};

REGISTER_KERNEL_BUILDER(
    Name("TFPatches>ExtractPatches").Device(tensorflow::DEVICE_CPU),
    OwnExtractPatchesOp);

REGISTER_KERNEL_BUILDER(
    Name("TFPatches>FoldPatches").Device(tensorflow::DEVICE_CPU),
    FoldPatchesOp);

REGISTER_KERNEL_BUILDER(
    Name("TFPatches>FoldWeightedPatches").Device(tensorflow::DEVICE_CPU),
    FoldWeightedPatchesOp);

}  // namespace
}  // namespace tf_patches
