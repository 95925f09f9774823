// Our kernel under the name of TensorFlow's own op.
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/extract_op.h"

namespace tf_patches {
namespace {

// Not bool, which TensorFlow's op has no kernel for: a model with it would run
// nowhere else.
constexpr tensorflow::DataType kTypes[] = {
    tensorflow::DT_BFLOAT16,  tensorflow::DT_HALF,      tensorflow::DT_FLOAT,
    tensorflow::DT_DOUBLE,    tensorflow::DT_INT8,      tensorflow::DT_INT16,
    tensorflow::DT_INT32,     tensorflow::DT_INT64,     tensorflow::DT_UINT8,
    tensorflow::DT_UINT16,    tensorflow::DT_UINT32,    tensorflow::DT_UINT64,
    tensorflow::DT_COMPLEX64, tensorflow::DT_COMPLEX128};

constexpr char kName[] = "ExtractImagePatches";

// Before the kernels that TensorFlow registers for each dtype, which have no
// priority.
void Override() {
  tensorflow::kernel_factory::OpKernelRegistrar(
      tensorflow::KernelDefBuilder(kName)
          .Device(tensorflow::DEVICE_CPU)
          .TypeConstraint("T", kTypes)
          .Priority(10)
          .Build(),
      "ExtractPatchesOp",
      [](tensorflow::OpKernelConstruction* context) -> tensorflow::OpKernel* {
        return new ExtractPatchesOp(context);
      });
}

}  // namespace
}  // namespace tf_patches

// There is no way back. Python may call it again, as when the package is
// reloaded: two kernels of one priority would be ambiguous.
extern "C" [[gnu::visibility("default")]] void TfPatchesOverrideBuiltin() {
  [[maybe_unused]] static const bool is_done = (tf_patches::Override(), true);
}
