// What the ops become where TensorFlow compiles a function with XLA: check,
// then call kernels/ on a CPU and lower to XLA's own operations elsewhere.
#include <optional>
#include <string>

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
#include "xla/shape.h"
#include "xla/xla_data.pb.h"

namespace tf_patches {
namespace {

using ::tensorflow::OpKernelConstruction;
using ::tensorflow::XlaOpKernel;
using ::tensorflow::XlaOpKernelContext;

constexpr char kExtractPatches[] = "TFPatches>ExtractPatches";
constexpr char kFoldPatches[] = "TFPatches>FoldPatches";
constexpr char kFoldWeightedPatches[] = "TFPatches>FoldWeightedPatches";

// Images or patches, and what is known of them while a function is compiled.
struct Operand {
  xla::XlaOp op;
  xla::PrimitiveType type;
  Shape shape;
  bool batch_varies;  // at run time, up to that of `shape`
};

// What these ops have in common.
class PatchesOp : public XlaOpKernel {
 public:
  explicit PatchesOp(OpKernelConstruction* context)
      : XlaOpKernel(context), calls_kernels_(CallsKernels(*context)) {
    OP_REQUIRES_OK(context, ReadAttributes(context, &attributes_));
  }

 protected:
  bool calls_kernels() const { return calls_kernels_; }

  // Reads the first input, and what is asked of it.
  absl::Status ReadOperand(XlaOpKernelContext* context, const char* name,
                           Refusal* wrong, Operand* operand,
                           PatchSpec* spec) const {
    TF_ASSIGN_OR_RETURN(const xla::Shape shape, context->InputXlaShape(0));
    operand->shape = ShapeOf(shape);
    const int rank = operand->shape.size();
    const int axes = CountAxes(rank, attributes_);
    TF_RETURN_IF_ERROR(ToStatus(ParsePatchSpec(attributes_, axes, spec)));
    if (rank != axes + 2)
      return ToStatus(wrong(axes, ShapeToString(operand->shape)));
    for (int i = 1; i < rank; ++i) {
      if (shape.is_dynamic_dimension(i)) return Varies(name, "the batch");
    }
    operand->op = context->Input(0);
    operand->type = shape.element_type();
    operand->batch_varies = shape.is_dynamic_dimension(0);
    return absl::OkStatus();
  }

  // Sets the result, of `shape`: what `make` makes of the operand, or `fill`
  // all over if the operand or the result is empty.
  template <typename Make>
  void SetResult(XlaOpKernelContext* context, const Operand& operand,
                 const Shape& shape, xla::XlaOp fill, const Make& make) const {
    xla::XlaOp result;
    if (IsEmpty(operand.shape) || IsEmpty(shape)) {
      result = xla::Broadcast(fill, shape);
    } else {
      result =
          make(operand.batch_varies ? xla::RemoveDynamicDimension(operand.op, 0)
                                    : operand.op);
    }
    if (operand.batch_varies) {
      result = xla::SetDimensionSize(result,
                                     xla::GetDimensionSize(operand.op, 0), 0);
    }
    context->SetOutput(0, result);
  }

 private:
  const bool calls_kernels_;
  PatchAttributes attributes_;
};

class ExtractPatchesOp : public PatchesOp {
 public:
  explicit ExtractPatchesOp(OpKernelConstruction* context)
      : PatchesOp(context) {
    OP_REQUIRES_OK(context, ReadConstant(context, &constant_));
  }

  void Compile(XlaOpKernelContext* context) override {
    Operand images;
    PatchSpec spec;
    OP_REQUIRES_OK(context,
                   ReadOperand(context, "images", WrongImages, &images, &spec));
    PatchGrid grid;
    OP_REQUIRES_OK(context, ToStatus(MakePatchGrid(images.shape, spec, &grid)));
    SetResult(context, images, grid.patches_shape(),
              ConstantOf(context->builder(), images.type, constant_),
              [&](xla::XlaOp op) {
                return calls_kernels()
                           ? CallExtractPatches(spec, grid, images.type,
                                                constant_, op)
                           : LowerExtractPatches(grid, images.type, constant_,
                                                 op);
              });
  }

 private:
  std::string constant_;  // the bytes of an element, empty for zero
};

class FoldPatchesOp : public PatchesOp {
 public:
  using PatchesOp::PatchesOp;

  void Compile(XlaOpKernelContext* context) override {
    Operand patches;
    PatchSpec spec;
    OP_REQUIRES_OK(context, ReadOperand(context, "patches", WrongPatches,
                                        &patches, &spec));
    Shape image_shape;
    OP_REQUIRES_OK(context,
                   ReadImageShape(context, 1, spec.axes, &image_shape));
    PatchGrid grid;
    OP_REQUIRES_OK(context, ToStatus(MakePatchGrid(image_shape, spec, &grid)));
    OP_REQUIRES(context, patches.shape == grid.patches_shape(),
                ToStatus(Mismatch(ShapeToString(patches.shape),
                                  ShapeToString(image_shape),
                                  ShapeToString(grid.patches_shape()))));
    std::optional<xla::XlaOp> weights;
    OP_REQUIRES_OK(context, ReadWeights(context, spec, &weights));
    SetResult(context, patches, image_shape,
              xla::Zero(context->builder(), patches.type), [&](xla::XlaOp op) {
                return Fold(spec, grid, patches.type, weights, op);
              });
  }

 protected:
  virtual absl::Status ReadWeights(XlaOpKernelContext*, const PatchSpec&,
                                   std::optional<xla::XlaOp>*) const {
    return absl::OkStatus();
  }

  virtual xla::XlaOp Fold(const PatchSpec& spec, const PatchGrid& grid,
                          xla::PrimitiveType type, std::optional<xla::XlaOp>,
                          xla::XlaOp patches) const {
    return calls_kernels() ? CallFoldPatches(spec, grid, type, patches)
                           : LowerFoldPatches(grid, type, patches);
  }
};

class FoldWeightedPatchesOp : public FoldPatchesOp {
 public:
  explicit FoldWeightedPatchesOp(OpKernelConstruction* context)
      : FoldPatchesOp(context) {
    OP_REQUIRES_OK(context, ReadReduction(context, &reduction_));
    OP_REQUIRES_OK(context, CheckReduction(reduction_, context->input_type(0)));
  }

 protected:
  absl::Status ReadWeights(XlaOpKernelContext* context, const PatchSpec& spec,
                           std::optional<xla::XlaOp>* weights) const override {
    TF_ASSIGN_OR_RETURN(const xla::Shape shape, context->InputXlaShape(2));
    if (IsMissing(ShapeOf(shape))) return absl::OkStatus();
    *weights = context->Input(2);
    if (ShapeOf(shape) == spec.sizes()) return absl::OkStatus();
    return ToStatus(WrongWeights(spec.sizes(), ShapeToString(ShapeOf(shape))));
  }

  xla::XlaOp Fold(const PatchSpec& spec, const PatchGrid& grid,
                  xla::PrimitiveType type, std::optional<xla::XlaOp> weights,
                  xla::XlaOp patches) const override {
    return calls_kernels() ? CallFoldWeightedPatches(
                                 spec, grid, type, reduction_, weights, patches)
                           : LowerFoldWeightedPatches(grid, type, reduction_,
                                                      weights, patches);
  }

 private:
  Reduction reduction_;
};

REGISTER_XLA_OP(Name(kExtractPatches), ExtractPatchesOp);
REGISTER_XLA_OP(Name(kFoldPatches).CompileTimeConstantInput("image_shape"),
                FoldPatchesOp);
REGISTER_XLA_OP(
    Name(kFoldWeightedPatches).CompileTimeConstantInput("image_shape"),
    FoldWeightedPatchesOp);
[[maybe_unused]] const bool kernels_are_registered =
    RegisterKernels<ExtractPatchesOp>(kExtractPatches) &&
    RegisterKernels<FoldPatchesOp>(kFoldPatches) &&
    RegisterKernels<FoldWeightedPatchesOp>(kFoldWeightedPatches);

}  // namespace
}  // namespace tf_patches
