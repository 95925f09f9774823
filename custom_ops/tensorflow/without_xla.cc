// Kernels for XLA if `_xla.so` is missing: they say so. The kernels of
// `_xla.so` come before them.
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace tf_patches {
namespace {

class WithoutXla : public tensorflow::OpKernel {
 public:
  explicit WithoutXla(tensorflow::OpKernelConstruction* context)
      : OpKernel(context) {
    context->SetStatus(absl::UnimplementedError(
        absl::StrCat("XLA cannot compile ", type_string(),
                     " because the library _xla.so of tf_patches is missing: "
                     "tf_patches.build_info()[\"xla\"] says why.")));
  }

  void Compute(tensorflow::OpKernelContext*) override {}
};

// Names XLA's devices, because its headers are missing.
#define TF_PATCHES_WITHOUT_XLA(OP)                                     \
  REGISTER_KERNEL_BUILDER(Name(OP).Device("XLA_CPU_JIT").Priority(-1), \
                          WithoutXla);                                 \
  REGISTER_KERNEL_BUILDER(Name(OP).Device("XLA_GPU_JIT").Priority(-1), \
                          WithoutXla);                                 \
  REGISTER_KERNEL_BUILDER(Name(OP).Device("XLA_TPU_JIT").Priority(-1), \
                          WithoutXla)

TF_PATCHES_WITHOUT_XLA("TFPatches>ExtractPatches");
TF_PATCHES_WITHOUT_XLA("TFPatches>FoldPatches");
TF_PATCHES_WITHOUT_XLA("TFPatches>FoldWeightedPatches");
TF_PATCHES_WITHOUT_XLA("TFPatches>ExtractPatchesAt");
TF_PATCHES_WITHOUT_XLA("TFPatches>FoldPatchesAt");

}  // namespace
}  // namespace tf_patches
