// Our kernel under the names of TensorFlow's own ops.
#include <initializer_list>

#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/extract_op.h"
#include "tensorflow/request.h"

namespace tf_patches {
namespace {

using ::tensorflow::OpKernel;
using ::tensorflow::OpKernelConstruction;

class ExtractImagePatches : public ExtractPatchesOp {
 public:
  explicit ExtractImagePatches(OpKernelConstruction* context)
      : ExtractPatchesOp(context) {
    OP_REQUIRES_OK(context, ReadBuiltinAttributes(context, &attributes_));
    OP_REQUIRES_OK(context, context->GetAttr("rates", &attributes_.rates));
    axes_ = 2;
  }
};

class ExtractVolumePatches : public ExtractPatchesOp {
 public:
  explicit ExtractVolumePatches(OpKernelConstruction* context)
      : ExtractPatchesOp(context) {
    OP_REQUIRES_OK(context, ReadBuiltinAttributes(context, &attributes_));
    axes_ = 3;
    attributes_.rates.assign(axes_ + 2, 1);
    if (attributes_.padding == Padding::kSame) {
      attributes_.padding = Padding::kSameUnclamped;
    }
  }
};

// Comes before TensorFlow's kernels, which have no priority. Dtypes without a
// kernel of TensorFlow are left out: a model with them would run nowhere else.
template <typename Op>
void Override(const char* name,
              std::initializer_list<tensorflow::DataType> types) {
  tensorflow::kernel_factory::OpKernelRegistrar(
      tensorflow::KernelDefBuilder(name)
          .Device(tensorflow::DEVICE_CPU)
          .TypeConstraint("T", types)
          .Priority(10)
          .Build(),
      name, [](OpKernelConstruction* context) -> OpKernel* {
        return new Op(context);
      });
}

bool OverrideAll() {
  using namespace tensorflow;
  Override<ExtractImagePatches>(
      "ExtractImagePatches",
      {DT_BFLOAT16, DT_HALF, DT_FLOAT, DT_DOUBLE, DT_INT8, DT_INT16, DT_INT32,
       DT_INT64, DT_UINT8, DT_UINT16, DT_UINT32, DT_UINT64, DT_COMPLEX64,
       DT_COMPLEX128});
  Override<ExtractVolumePatches>(
      "ExtractVolumePatches",
      {DT_BFLOAT16, DT_HALF, DT_FLOAT, DT_DOUBLE, DT_INT8, DT_INT16, DT_INT32,
       DT_INT64, DT_UINT8, DT_UINT16, DT_UINT32, DT_UINT64});
  return true;
}

}  // namespace
}  // namespace tf_patches

// There is no way back. Python may call it again, as when the package is
// reloaded: two kernels of one priority would be ambiguous.
extern "C" [[gnu::visibility("default")]] void TfPatchesOverrideBuiltin() {
  [[maybe_unused]] static const bool is_done = tf_patches::OverrideAll();
}
