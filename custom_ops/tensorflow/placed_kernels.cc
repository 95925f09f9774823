// The CPU kernels of the ops whose patches lie at given positions.
#include <algorithm>
#include <cstdint>
#include <new>
#include <string>

#include "geometry/placement.h"
#include "kernels/extract_at.h"
#include "kernels/fold_at.h"
#include "kernels/weights.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor_shape.h"
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

Shape ShapeOf(const Tensor& tensor) {
  const auto dimensions = tensor.shape().dim_sizes();
  return {dimensions.begin(), dimensions.end()};
}

template <typename T>
PlaceNumbers<T> NumbersOf(const Tensor& tensor) {
  return {static_cast<const T*>(tensor.data()), tensor.NumElements()};
}

// Fills `placement->places`, of which the images must be known.
absl::Status ReadPlaces(const Tensor& positions, const Tensor& flips,
                        Placement* placement) {
  TF_RETURN_IF_ERROR(ToStatus(
      CheckPlaceShapes(*placement, ShapeOf(positions), ShapeOf(flips))));
  if (positions.dtype() == tensorflow::DT_INT32) {
    FillPlaces(NumbersOf<int32_t>(positions), NumbersOf<bool>(flips),
               placement);
  } else {
    FillPlaces(NumbersOf<int64_t>(positions), NumbersOf<bool>(flips),
               placement);
  }
  return ToStatus(CheckPlaces(*placement));
}

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

class ExtractPatchesAtOp : public OpKernel {
 public:
  explicit ExtractPatchesAtOp(OpKernelConstruction* context)
      : OpKernel(context) {
    OP_REQUIRES_OK(context, ReadPlacementAttributes(context, &attributes_));
    OP_REQUIRES_OK(context, ToStatus(CheckPlacement(attributes_)));
    OP_REQUIRES_OK(context, ReadConstant(context, &constant_values_));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor& images = context->input(0);
    const Tensor& positions = context->input(1);
    const int axes = attributes_.axes();
    OP_REQUIRES(context, images.dims() == axes + 2,
                ToStatus(WrongImages(axes, images.shape().DebugString())));
    OP_REQUIRES(
        context, positions.dims() == 2 || positions.dims() == 3,
        ToStatus(WrongPositions(axes, positions.shape().DebugString())));
    const int64_t count = positions.dim_size(positions.dims() - 2);
    Placement placement;
    OP_REQUIRES_OK(context, ToStatus(MakePlacement(ShapeOf(images), count,
                                                   attributes_, &placement)));
    OP_REQUIRES_OK(context, WithMemory([&] {
                     return ReadPlaces(positions, context->input(2),
                                       &placement);
                   }));
    Tensor* patches = nullptr;
    OP_REQUIRES_OK(
        context,
        AllocateResult(context, 0, TensorShape(placement.patches_shape()),
                       &patches));
    if (patches->NumElements() == 0) return;
    const Plan plan = PlanExtractionAt(
        placement, tensorflow::DataTypeSize(images.dtype()), constant_values_);
    ShareOut(context, plan.units, patches->TotalBytes(), [&](Range which) {
      plan.run(images.data(), which, patches->data());
    });
  }

 private:
  PlacementAttributes attributes_;
  std::string constant_values_;
};

class FoldPatchesAtOp : public OpKernel {
 public:
  explicit FoldPatchesAtOp(OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, ReadPlacementAttributes(context, &attributes_));
    OP_REQUIRES_OK(context, ToStatus(CheckPlacement(attributes_)));
    OP_REQUIRES_OK(context, ReadReduction(context, &reduction_));
    OP_REQUIRES_OK(context, CheckReduction(reduction_, context->input_type(0)));
    number_ = NumberOf(context->input_type(0));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor& patches = context->input(0);
    const int axes = attributes_.axes();
    OP_REQUIRES(
        context, patches.dims() == axes + 3,
        ToStatus(WrongPlacedPatches(axes, patches.shape().DebugString())));
    Shape image_shape;
    OP_REQUIRES_OK(context,
                   ReadImageShape(context->input(3), axes, &image_shape));
    Placement placement;
    OP_REQUIRES_OK(context,
                   ToStatus(MakePlacement(image_shape, patches.dim_size(1),
                                          attributes_, &placement)));
    const TensorShape expected(placement.patches_shape());
    OP_REQUIRES(context, patches.shape() == expected,
                ToStatus(Mismatch(patches.shape().DebugString(),
                                  TensorShape(image_shape).DebugString(),
                                  expected.DebugString())));
    OP_REQUIRES_OK(context, WithMemory([&] {
                     return ReadPlaces(context->input(1), context->input(2),
                                       &placement);
                   }));
    Weights weights;
    OP_REQUIRES_OK(context, ReadWeights(context, placement, &weights));
    Tensor* images = nullptr;
    OP_REQUIRES_OK(
        context, AllocateResult(context, 0, TensorShape(image_shape), &images));
    if (images->NumElements() == 0) return;
    Plan plan;
    OP_REQUIRES_OK(context, WithMemory([&] {
                     plan =
                         PlanFoldingAt(placement, number_, reduction_, weights);
                     return absl::OkStatus();
                   }));
    ShareOut(
        context, plan.units,
        std::max(images->TotalBytes(), patches.TotalBytes()),
        [&](Range which) { plan.run(patches.data(), which, images->data()); });
  }

 private:
  absl::Status ReadWeights(OpKernelContext* context, const Placement& placement,
                           Weights* weights) const {
    const Tensor& window = context->input(4);
    const Tensor& profiles = context->input(5);
    weights->window = DataOf(window);
    weights->profiles = DataOf(profiles);
    if (weights->exist() && IsExtreme(reduction_)) return WrongExtremes();
    weights->has_profile_each =
        profiles.dims() == 2 && profiles.dim_size(0) == placement.count;
    return ToStatus(
        CheckWeightShapes(placement, ShapeOf(window), ShapeOf(profiles)));
  }

  PlacementAttributes attributes_;
  Reduction reduction_;
  Number number_;
};

REGISTER_KERNEL_BUILDER(
    Name("TFPatches>ExtractPatchesAt").Device(tensorflow::DEVICE_CPU),
    ExtractPatchesAtOp);

REGISTER_KERNEL_BUILDER(
    Name("TFPatches>FoldPatchesAt").Device(tensorflow::DEVICE_CPU),
    FoldPatchesAtOp);

}  // namespace
}  // namespace tf_patches
