// As ops.cc, of the ops whose patches lie at given positions.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "geometry/error.h"
#include "geometry/patch_grid.h"
#include "geometry/patch_spec.h"
#include "geometry/placement.h"
#include "kernels/weights.h"
#include "tensorflow/compiler/tf2xla/xla_op_kernel.h"
#include "tensorflow/compiler/tf2xla/xla_op_registry.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/request.h"
#include "xla/hlo/builder/lib/constants.h"
#include "xla/hlo/builder/xla_builder.h"
#include "xla/lowering.h"
#include "xla/native_call.h"
#include "xla/op.h"
#include "xla/place_ops.h"
#include "xla/placed_lowering.h"
#include "xla/shape.h"
#include "xla/shape_util.h"
#include "xla/xla_data.pb.h"

namespace tf_patches {
namespace {

using ::tensorflow::OpKernelConstruction;
using ::tensorflow::XlaOpKernel;
using ::tensorflow::XlaOpKernelContext;

constexpr char kExtractPatchesAt[] = "TFPatches>ExtractPatchesAt";
constexpr char kFoldPatchesAt[] = "TFPatches>FoldPatchesAt";

// A tensor, and what is known of it while a function is compiled.
struct VaryingOperand {
  xla::XlaOp op;
  xla::PrimitiveType type;
  Shape shape;
  std::vector<bool> varies;  // each dimension, up to that of `shape`

  int rank() const { return shape.size(); }

  xla::XlaOp Size(int dimension) const {
    return xla::GetDimensionSize(op, dimension);
  }

  // With all that may be there; what lies past the end is anything.
  xla::XlaOp Whole() const {
    xla::XlaOp whole = op;
    for (int i = 0; i < rank(); ++i) {
      if (varies[i]) whole = xla::RemoveDynamicDimension(whole, i);
    }
    return whole;
  }
};

// Reads an input, of which the last `known` dimensions may not vary.
absl::Status Read(XlaOpKernelContext* context, int input, const char* name,
                  int known, VaryingOperand* operand) {
  TF_ASSIGN_OR_RETURN(const xla::Shape shape, context->InputXlaShape(input));
  operand->op = context->Input(input);
  operand->type = shape.element_type();
  operand->shape = ShapeOf(shape);
  for (int i = 0; i < operand->rank(); ++i) {
    operand->varies.push_back(shape.is_dynamic_dimension(i));
    if (operand->varies[i] && i >= operand->rank() - known) {
      return Varies(name, "the batch and the number of patches");
    }
  }
  return absl::OkStatus();
}

// Where patches lie.
struct PlaceInputs {
  VaryingOperand positions;
  VaryingOperand flips;

  int CountAxis() const { return positions.rank() - 2; }
  bool CountVaries() const { return positions.varies[CountAxis()]; }
};

absl::Status ReadPlaces(XlaOpKernelContext* context, int axes,
                        PlaceInputs* places) {
  TF_RETURN_IF_ERROR(Read(context, 1, "positions", 1, &places->positions));
  TF_RETURN_IF_ERROR(Read(context, 2, "flips", 1, &places->flips));
  const int rank = places->positions.rank();
  if (rank == 2 || rank == 3) return absl::OkStatus();
  return ToStatus(WrongPositions(axes, ShapeToString(places->positions.shape)));
}

// `positions`, those from `size` on along `axis` before any image that there
// is.
xla::XlaOp MoveAway(xla::XlaOp positions, const VaryingOperand& operand,
                    int axis, xla::XlaOp size) {
  const xla::XlaOp index =
      xla::Iota(positions.builder(),
                xla::ShapeUtil::MakeShape(xla::S32, operand.shape), axis);
  // No patch spans more.
  const xla::XlaOp away = xla::Broadcast(
      xla::ConstantR0WithType(positions.builder(), operand.type, -kInt32Max),
      operand.shape);
  return xla::Select(xla::Lt(index, size), positions, away);
}

PlaceOps ToOps(const PlaceInputs& places) {
  PlaceOps ops = {places.positions.Whole(), std::nullopt};
  for (int i = 0; i < places.positions.rank(); ++i) {
    if (!places.positions.varies[i]) continue;
    ops.positions =
        MoveAway(ops.positions, places.positions, i, places.positions.Size(i));
  }
  if (!IsMissing(places.flips.shape)) ops.flips = places.flips.Whole();
  return ops;
}

// What both ops have in common.
class PlacedOp : public XlaOpKernel {
 public:
  explicit PlacedOp(OpKernelConstruction* context)
      : XlaOpKernel(context), calls_kernels_(CallsKernels(*context)) {
    OP_REQUIRES_OK(context, ReadPlacementAttributes(context, &attributes_));
    OP_REQUIRES_OK(context, ToStatus(CheckPlacement(attributes_)));
  }

 protected:
  bool calls_kernels() const { return calls_kernels_; }
  int axes() const { return attributes_.axes(); }
  Border border() const { return attributes_.border; }

  // Lays patches on images of `image_shape`.
  absl::Status Place(const Shape& image_shape, int64_t count,
                     const PlaceInputs& places, Placement* placement) const {
    TF_RETURN_IF_ERROR(
        ToStatus(MakePlacement(image_shape, count, attributes_, placement)));
    return ToStatus(CheckPlaceShapes(*placement, places.positions.shape,
                                     places.flips.shape));
  }

 private:
  const bool calls_kernels_;
  PlacementAttributes attributes_;
};

class ExtractPatchesAtOp : public PlacedOp {
 public:
  explicit ExtractPatchesAtOp(OpKernelConstruction* context)
      : PlacedOp(context) {
    OP_REQUIRES_OK(context, ReadConstant(context, &constant_));
  }

  void Compile(XlaOpKernelContext* context) override {
    VaryingOperand images;
    PlaceInputs places;
    OP_REQUIRES_OK(context, Read(context, 0, "images", axes() + 1, &images));
    OP_REQUIRES(context, images.rank() == axes() + 2,
                ToStatus(WrongImages(axes(), ShapeToString(images.shape))));
    OP_REQUIRES_OK(context, ReadPlaces(context, axes(), &places));
    const int64_t count = places.positions.shape[places.CountAxis()];
    Placement placement;
    OP_REQUIRES_OK(context, Place(images.shape, count, places, &placement));
    xla::XlaOp patches = Extract(placement, images, places);
    if (images.varies[0]) {
      patches = xla::SetDimensionSize(patches, images.Size(0), 0);
    }
    if (places.CountVaries()) {
      patches = xla::SetDimensionSize(
          patches, places.positions.Size(places.CountAxis()), 1);
    }
    context->SetOutput(0, patches);
  }

 private:
  xla::XlaOp Extract(const Placement& placement, const VaryingOperand& images,
                     const PlaceInputs& places) const {
    const Shape shape = placement.patches_shape();
    if (IsEmpty(shape) || IsEmpty(images.shape)) {
      return xla::Broadcast(
          ConstantOf(images.op.builder(), images.type, constant_), shape);
    }
    return calls_kernels()
               ? CallExtractPatchesAt(placement, images.type, constant_,
                                      images.Whole(), ToOps(places))
               : LowerExtractPatchesAt(placement, images.type, constant_,
                                       images.Whole(), ToOps(places));
  }

  std::string constant_;  // the bytes of an element, empty for zero
};

class FoldPatchesAtOp : public PlacedOp {
 public:
  explicit FoldPatchesAtOp(OpKernelConstruction* context) : PlacedOp(context) {
    OP_REQUIRES_OK(context, ReadReduction(context, &reduction_));
    OP_REQUIRES_OK(context, CheckReduction(reduction_, context->input_type(0)));
  }

  void Compile(XlaOpKernelContext* context) override {
    VaryingOperand patches;
    PlaceInputs places;
    Shape image_shape;
    OP_REQUIRES_OK(context, Read(context, 0, "patches", axes() + 1, &patches));
    OP_REQUIRES(
        context, patches.rank() == axes() + 3,
        ToStatus(WrongPlacedPatches(axes(), ShapeToString(patches.shape))));
    OP_REQUIRES_OK(context, ReadPlaces(context, axes(), &places));
    OP_REQUIRES_OK(context, ReadImageShape(context, 3, axes(), &image_shape));
    Placement placement;
    OP_REQUIRES_OK(context,
                   Place(image_shape, patches.shape[1], places, &placement));
    OP_REQUIRES(context, patches.shape == placement.patches_shape(),
                ToStatus(Mismatch(ShapeToString(patches.shape),
                                  ShapeToString(image_shape),
                                  ShapeToString(placement.patches_shape()))));
    WeightOps weights;
    OP_REQUIRES_OK(context, ReadWeights(context, placement, &weights));
    // What lies past the last patch is moved off the image, which only a
    // constant surrounds.
    const bool count_varies = places.CountVaries() || patches.varies[1];
    OP_REQUIRES(context, !count_varies || border() == Border::kConstant,
                Varies("patches",
                       "the batch and, for mode CONSTANT, the "
                       "number of patches"));
    xla::XlaOp images = Fold(placement, patches, places, weights);
    if (patches.varies[0]) {
      images = xla::SetDimensionSize(images, patches.Size(0), 0);
    }
    context->SetOutput(0, images);
  }

 private:
  absl::Status ReadWeights(XlaOpKernelContext* context,
                           const Placement& placement,
                           WeightOps* weights) const {
    VaryingOperand window, profiles;
    TF_RETURN_IF_ERROR(Read(context, 4, "weights", axes(), &window));
    TF_RETURN_IF_ERROR(Read(context, 5, "weights", 1, &profiles));
    if (!IsMissing(window.shape)) weights->window = window.op;
    if (!IsMissing(profiles.shape)) weights->profiles = profiles.Whole();
    if ((weights->window || weights->profiles) && IsExtreme(reduction_)) {
      return WrongExtremes();
    }
    return ToStatus(CheckWeightShapes(placement, window.shape, profiles.shape));
  }

  xla::XlaOp Fold(const Placement& placement, const VaryingOperand& patches,
                  const PlaceInputs& places, const WeightOps& weights) const {
    const Shape shape = placement.image_shape();
    if (IsEmpty(shape) || IsEmpty(patches.shape)) {
      return xla::Broadcast(xla::Zero(patches.op.builder(), patches.type),
                            shape);
    }
    PlaceOps place_ops = ToOps(places);
    if (patches.varies[1]) {
      place_ops.positions = MoveAway(place_ops.positions, places.positions,
                                     places.CountAxis(), patches.Size(1));
    }
    return calls_kernels()
               ? CallFoldPatchesAt(placement, patches.type, reduction_,
                                   patches.Whole(), place_ops, weights)
               : LowerFoldPatchesAt(placement, patches.type, reduction_,
                                    patches.Whole(), place_ops, weights);
  }

  Reduction reduction_;
};

REGISTER_XLA_OP(Name(kExtractPatchesAt), ExtractPatchesAtOp);
REGISTER_XLA_OP(Name(kFoldPatchesAt).CompileTimeConstantInput("image_shape"),
                FoldPatchesAtOp);
[[maybe_unused]] const bool placed_kernels_are_registered =
    RegisterKernels<ExtractPatchesAtOp>(kExtractPatchesAt) &&
    RegisterKernels<FoldPatchesAtOp>(kFoldPatchesAt);

}  // namespace
}  // namespace tf_patches
