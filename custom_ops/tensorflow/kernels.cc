// The CPU kernels of our ops: check, allocate, share the work out.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "geometry/patch_grid.h"
#include "geometry/patch_spec.h"
#include "kernels/fold.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor_shape.h"
#include "tensorflow/extract_op.h"
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

// Reads the input `image_shape`, a vector with a number for each dimension.
absl::Status ReadImageShape(const Tensor& tensor, int axes, Shape* shape) {
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
Number NumberOf(tensorflow::DataType dtype) {
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
    case tensorflow::DT_UINT8:
      return Number::kInt8;
    case tensorflow::DT_INT16:
    case tensorflow::DT_UINT16:
      return Number::kInt16;
    case tensorflow::DT_INT32:
    case tensorflow::DT_UINT32:
      return Number::kInt32;
    default:
      return Number::kInt64;
  }
}

class OwnExtractPatchesOp : public ExtractPatchesOp {
 public:
  explicit OwnExtractPatchesOp(OpKernelConstruction* context)
      : ExtractPatchesOp(context) {
    OP_REQUIRES_OK(context, ReadAttributes(context, &attributes_));
    OP_REQUIRES_OK(context,
                   context->GetAttr("constant_values", &constant_values_));
    const auto bytes =
        static_cast<size_t>(tensorflow::DataTypeSize(context->input_type(0)));
    OP_REQUIRES(context,
                constant_values_.empty() || constant_values_.size() == bytes,
                ToStatus(WrongConstant(bytes, constant_values_.size())));
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
    Tensor* images = nullptr;
    OP_REQUIRES_OK(
        context, AllocateResult(context, 0, TensorShape(image_shape), &images));
    if (images->NumElements() == 0) return;
    const Plan plan = PlanFolding(grid, number_);
    ShareOut(
        context, plan.units,
        std::max(images->TotalBytes(), patches.TotalBytes()),
        [&](Range which) { plan.run(patches.data(), which, images->data()); });
  }

 private:
  PatchAttributes attributes_;
  Number number_;
};

REGISTER_KERNEL_BUILDER(
    Name("TFPatches>ExtractPatches").Device(tensorflow::DEVICE_CPU),
    OwnExtractPatchesOp);

REGISTER_KERNEL_BUILDER(
    Name("TFPatches>FoldPatches").Device(tensorflow::DEVICE_CPU),
    FoldPatchesOp);

}  // namespace
}  // namespace tf_patches
