// Our kernel under the name of TensorFlow's own op. Loaded, it comes before
// those that TensorFlow registers for each dtype, which have no priority.
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

REGISTER_KERNEL_BUILDER(Name("ExtractImagePatches")
                            .Device(tensorflow::DEVICE_CPU)
                            .TypeConstraint("T", kTypes)
                            .Priority(10),
                        ExtractPatchesOp);

}  // namespace
}  // namespace tf_patches
