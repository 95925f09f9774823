// What XLA finds of the ops where their library for it is missing: kernels that
// say so. Those of that library come before them.
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

// By the names of XLA's devices, for want of its headers.
#define TF_PATCHES_WITHOUT_XLA(DEVICE)                              \
  REGISTER_KERNEL_BUILDER(                                          \
      Name("TFPatches>ExtractPatches").Device(DEVICE).Priority(-1), \
      WithoutXla);                                                  \
  REGISTER_KERNEL_BUILDER(                                          \
      Name("TFPatches>FoldPatches").Device(DEVICE).Priority(-1), WithoutXla)

TF_PATCHES_WITHOUT_XLA("XLA_CPU_JIT");
TF_PATCHES_WITHOUT_XLA("XLA_GPU_JIT");
TF_PATCHES_WITHOUT_XLA("XLA_TPU_JIT");

}  // namespace
}  // namespace tf_patches
