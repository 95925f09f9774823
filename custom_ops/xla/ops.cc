// What the ops become where TensorFlow compiles a function with XLA: check,
// then call kernels/ on a CPU and lower to XLA's own operations elsewhere.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "geometry/patch_grid.h"
#include "geometry/patch_spec.h"
#include "tensorflow/compiler/tf2xla/xla_op_kernel.h"
#include "tensorflow/compiler/tf2xla/xla_op_registry.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/types.h"
#include "tensorflow/request.h"
#include "xla/hlo/builder/lib/constants.h"
#include "xla/hlo/builder/xla_builder.h"
#include "xla/lowering.h"
#include "xla/native_call.h"
#include "xla/shape.h"
#include "xla/xla_data.pb.h"

namespace tf_patches {
namespace {

using ::tensorflow::OpKernelConstruction;
using ::tensorflow::XlaOpKernel;
using ::tensorflow::XlaOpKernelContext;

constexpr char kExtractPatches[] = "TFPatches>ExtractPatches";
constexpr char kFoldPatches[] = "TFPatches>FoldPatches";

// Tests set TF_PATCHES_XLA_LOWERING=hlo to run on a CPU what a GPU would.
bool CallsKernels(const OpKernelConstruction& context) {
  const char* const lowering = std::getenv("TF_PATCHES_XLA_LOWERING");
  return context.device_type() == tensorflow::DEVICE_CPU_XLA_JIT &&
         (lowering == nullptr || std::string(lowering) != "hlo");
}

std::string ToText(const Shape& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ","), "]");
}

// Images or patches, and what is known of them while a function is compiled.
struct Operand {
  xla::XlaOp op;
  xla::PrimitiveType type;
  Shape shape;
  bool batch_varies;  // at run time, up to that of `shape`
};

absl::Status Varies(const char* name) {
  return absl::UnimplementedError(
      absl::StrCat("XLA must know every dimension of ", name,
                   ", except the batch, when it compiles a function."));
}

// Reads the input `image_shape`, a vector with a number for each dimension.
absl::Status ReadImageShape(XlaOpKernelContext* context, int axes,
                            Shape* shape) {
  TF_ASSIGN_OR_RETURN(const xla::Shape given, context->InputXlaShape(1));
  if (given.dimensions().size() != 1 || given.dimensions(0) != axes + 2) {
    const auto dimensions = given.dimensions();
    return ToStatus(WrongImageShape(
        axes, ToText(Shape(dimensions.begin(), dimensions.end()))));
  }
  std::vector<bool> varies;
  TF_RETURN_IF_ERROR(context->ResolveInputDynamismIntoPredVector(1, &varies));
  if (std::find(varies.begin() + 1, varies.end(), true) != varies.end()) {
    return Varies("image_shape");
  }
  return context->ConstantInputAsIntVector(
      1, shape, xla::ValueInferenceMode::kUpperBound);
}

// What both ops have in common.
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
    const auto dimensions = shape.dimensions();
    operand->shape.assign(dimensions.begin(), dimensions.end());
    const int rank = dimensions.size();
    const int axes = CountAxes(rank, attributes_);
    TF_RETURN_IF_ERROR(ToStatus(ParsePatchSpec(attributes_, axes, spec)));
    if (rank != axes + 2) return ToStatus(wrong(axes, ToText(operand->shape)));
    for (int i = 1; i < rank; ++i) {
      if (shape.is_dynamic_dimension(i)) return Varies(name);
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
  static bool IsEmpty(const Shape& shape) {
    return std::find(shape.begin(), shape.end(), 0) != shape.end();
  }

  const bool calls_kernels_;
  PatchAttributes attributes_;
};

class ExtractPatchesOp : public PatchesOp {
 public:
  explicit ExtractPatchesOp(OpKernelConstruction* context)
      : PatchesOp(context) {
    OP_REQUIRES_OK(context, context->GetAttr("constant_values", &constant_));
    const int bytes = tensorflow::DataTypeSize(context->input_type(0));
    const int got = constant_.size();
    OP_REQUIRES(context, got == 0 || got == bytes,
                ToStatus(WrongConstant(bytes, got)));
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
    OP_REQUIRES_OK(context, ReadImageShape(context, spec.axes, &image_shape));
    PatchGrid grid;
    OP_REQUIRES_OK(context, ToStatus(MakePatchGrid(image_shape, spec, &grid)));
    OP_REQUIRES(context, patches.shape == grid.patches_shape(),
                ToStatus(Mismatch(ToText(patches.shape), ToText(image_shape),
                                  ToText(grid.patches_shape()))));
    SetResult(context, patches, image_shape,
              xla::Zero(context->builder(), patches.type), [&](xla::XlaOp op) {
                return calls_kernels()
                           ? CallFoldPatches(spec, grid, patches.type, op)
                           : LowerFoldPatches(grid, patches.type, op);
              });
  }
};

// XLA makes kernels of the ops it knows of when it first compiles anything, and
// none later: these are for a library loaded after that. Ahead of XLA's own, as
// two of one priority would be ambiguous.
template <typename Op>
bool RegisterKernels(const char* name) {
  for (const std::string& backend : tensorflow::XlaOpRegistry::BackendNames()) {
    tensorflow::kernel_factory::OpKernelRegistrar(
        tensorflow::KernelDefBuilder(name)
            .Device(backend.c_str())
            .Priority(1)
            .Build(),
        name, [](OpKernelConstruction* context) -> tensorflow::OpKernel* {
          return new Op(context);
        });
  }
  return true;
}

REGISTER_XLA_OP(Name(kExtractPatches), ExtractPatchesOp);
REGISTER_XLA_OP(Name(kFoldPatches).CompileTimeConstantInput("image_shape"),
                FoldPatchesOp);
[[maybe_unused]] const bool kernels_are_registered =
    RegisterKernels<ExtractPatchesOp>(kExtractPatches) &&
    RegisterKernels<FoldPatchesOp>(kFoldPatches);

}  // namespace
}  // namespace tf_patches
