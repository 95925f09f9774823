// What the ops become where TensorFlow compiles a function with XLA: check,
// then call kernels/ on a CPU and lower to XLA's own operations elsewhere.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "geometry/patch_grid.h"
#include "geometry/patch_spec.h"
#include "tensorflow/compiler/tf2xla/xla_op_kernel.h"
#include "tensorflow/compiler/tf2xla/xla_op_registry.h"
#include "tensorflow/core/framework/op_kernel.h"
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

std::string ToString(absl::Span<const int64_t> shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ","), "]");
}

// Images or patches, and what is known of them while a function is compiled.
struct Operand {
  xla::XlaOp op;
  xla::PrimitiveType type;
  std::array<int64_t, 4> shape;
  bool batch_varies;  // at run time, up to that of `shape`
};

absl::Status Varies(const char* name) {
  return absl::UnimplementedError(
      absl::StrCat("XLA must know the rows, cols and depth of ", name,
                   " when it compiles a function; only the batch may vary."));
}

absl::Status ReadOperand(XlaOpKernelContext* context, const char* name,
                         Refusal* wrong, Operand* operand) {
  TF_ASSIGN_OR_RETURN(const xla::Shape shape, context->InputXlaShape(0));
  const absl::Span<const int64_t> dimensions = shape.dimensions();
  if (dimensions.size() != 4) {
    return ToStatus(wrong(ToString(dimensions)));
  }
  for (const int axis : {1, 2, 3}) {
    if (shape.is_dynamic_dimension(axis)) return Varies(name);
  }
  operand->op = context->Input(0);
  operand->type = shape.element_type();
  std::copy_n(dimensions.begin(), 4, operand->shape.begin());
  operand->batch_varies = shape.is_dynamic_dimension(0);
  return absl::OkStatus();
}

// Reads the input `image_shape`, a vector of 4 integers.
absl::Status ReadImageShape(XlaOpKernelContext* context,
                            std::array<int64_t, 4>* shape) {
  TF_ASSIGN_OR_RETURN(const xla::Shape given, context->InputXlaShape(1));
  if (given.dimensions().size() != 1 || given.dimensions(0) != 4) {
    return ToStatus(WrongImageShape(ToString(given.dimensions())));
  }
  std::vector<bool> varies;
  TF_RETURN_IF_ERROR(context->ResolveInputDynamismIntoPredVector(1, &varies));
  if (varies[1] || varies[2] || varies[3]) return Varies("image_shape");
  std::vector<int64_t> most;
  TF_RETURN_IF_ERROR(context->ConstantInputAsIntVector(
      1, &most, xla::ValueInferenceMode::kUpperBound));
  std::copy_n(most.begin(), 4, shape->begin());
  return absl::OkStatus();
}

// What both ops have in common.
class PatchesOp : public XlaOpKernel {
 public:
  explicit PatchesOp(OpKernelConstruction* context)
      : XlaOpKernel(context), calls_kernels_(CallsKernels(*context)) {
    OP_REQUIRES_OK(context, ReadPatchSpec(context, &spec_));
  }

 protected:
  using Lower = xla::XlaOp(const PatchGrid&, xla::PrimitiveType, xla::XlaOp);
  using Call = xla::XlaOp(const PatchSpec&, const PatchGrid&,
                          xla::PrimitiveType, xla::XlaOp);

  const PatchSpec& spec() const { return spec_; }

  // Makes the result, of `shape`, by `call` or `lower`.
  void Finish(XlaOpKernelContext* context, const PatchGrid& grid,
              const Operand& operand, const std::array<int64_t, 4>& shape,
              Call* call, Lower* lower) const {
    if (IsEmpty(operand.shape) || IsEmpty(shape)) {
      const xla::XlaOp zero = xla::Zero(context->builder(), operand.type);
      return SetResult(context, operand, xla::Broadcast(zero, shape));
    }
    const xla::XlaOp fixed = operand.batch_varies
                                 ? xla::RemoveDynamicDimension(operand.op, 0)
                                 : operand.op;
    SetResult(context, operand,
              calls_kernels_ ? call(spec_, grid, operand.type, fixed)
                             : lower(grid, operand.type, fixed));
  }

 private:
  static bool IsEmpty(const std::array<int64_t, 4>& shape) {
    return std::find(shape.begin(), shape.end(), 0) != shape.end();
  }

  static void SetResult(XlaOpKernelContext* context, const Operand& operand,
                        xla::XlaOp result) {
    if (operand.batch_varies) {
      result = xla::SetDimensionSize(result,
                                     xla::GetDimensionSize(operand.op, 0), 0);
    }
    context->SetOutput(0, result);
  }

  const bool calls_kernels_;
  PatchSpec spec_;
};

class ExtractPatchesOp : public PatchesOp {
 public:
  using PatchesOp::PatchesOp;

  void Compile(XlaOpKernelContext* context) override {
    Operand images;
    OP_REQUIRES_OK(context,
                   ReadOperand(context, "images", WrongImages, &images));
    PatchGrid grid;
    OP_REQUIRES_OK(context,
                   ToStatus(MakePatchGrid(images.shape, spec(), &grid)));
    Finish(context, grid, images, grid.patches_shape(), CallExtractPatches,
           LowerExtractPatches);
  }
};

class FoldPatchesOp : public PatchesOp {
 public:
  using PatchesOp::PatchesOp;

  void Compile(XlaOpKernelContext* context) override {
    Operand patches;
    OP_REQUIRES_OK(context,
                   ReadOperand(context, "patches", WrongPatches, &patches));
    std::array<int64_t, 4> image_shape;
    OP_REQUIRES_OK(context, ReadImageShape(context, &image_shape));
    PatchGrid grid;
    OP_REQUIRES_OK(context,
                   ToStatus(MakePatchGrid(image_shape, spec(), &grid)));
    OP_REQUIRES(
        context, patches.shape == grid.patches_shape(),
        ToStatus(Mismatch(ToString(patches.shape), ToString(image_shape),
                          ToString(grid.patches_shape()))));
    Finish(context, grid, patches, image_shape, CallFoldPatches,
           LowerFoldPatches);
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
