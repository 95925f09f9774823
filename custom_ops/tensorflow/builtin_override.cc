// Our kernel under the name of TensorFlow's own op. Loaded, it comes before
// those that TensorFlow registers for each dtype, which have no priority.
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/extract_op.h"

namespace tf_patches {
namespace {

REGISTER_KERNEL_BUILDER(
    Name("ExtractImagePatches").Device(tensorflow::DEVICE_CPU).Priority(10),
    ExtractPatchesOp);

}  // namespace
}  // namespace tf_patches
