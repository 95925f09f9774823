// What the ops have in common where TensorFlow compiles a function with XLA.
#ifndef TF_PATCHES_XLA_OP_H_
#define TF_PATCHES_XLA_OP_H_

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "geometry/error.h"
#include "geometry/patch_grid.h"
#include "tensorflow/compiler/tf2xla/xla_op_kernel.h"
#include "tensorflow/compiler/tf2xla/xla_op_registry.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/request.h"
#include "xla/shape.h"

namespace tf_patches {

// Tests set TF_PATCHES_XLA_LOWERING=hlo to run on a CPU what a GPU would.
inline bool CallsKernels(const tensorflow::OpKernelConstruction& context) {
  const char* const lowering = std::getenv("TF_PATCHES_XLA_LOWERING");
  return context.device_type() == tensorflow::DEVICE_CPU_XLA_JIT &&
         (lowering == nullptr || std::string(lowering) != "hlo");
}

inline bool IsEmpty(const Shape& shape) {
  return std::find(shape.begin(), shape.end(), 0) != shape.end();
}

// With the most of what varies at run time.
inline Shape ShapeOf(const xla::Shape& shape) {
  const auto dimensions = shape.dimensions();
  return {dimensions.begin(), dimensions.end()};
}

inline absl::Status Varies(const char* name, const char* except) {
  return absl::UnimplementedError(
      absl::StrCat("XLA must know every dimension of ", name, ", except ",
                   except, ", when it compiles a function."));
}

// Reads the input `input`, the `image_shape`: a vector with a number for each
// dimension.
inline absl::Status ReadImageShape(tensorflow::XlaOpKernelContext* context,
                                   int input, int axes, Shape* shape) {
  TF_ASSIGN_OR_RETURN(const xla::Shape given, context->InputXlaShape(input));
  if (given.dimensions().size() != 1 || given.dimensions(0) != axes + 2) {
    return ToStatus(WrongImageShape(axes, ShapeToString(ShapeOf(given))));
  }
  std::vector<bool> varies;
  TF_RETURN_IF_ERROR(
      context->ResolveInputDynamismIntoPredVector(input, &varies));
  if (std::find(varies.begin() + 1, varies.end(), true) != varies.end()) {
    return Varies("image_shape", "the batch");
  }
  return context->ConstantInputAsIntVector(
      input, shape, xla::ValueInferenceMode::kUpperBound);
}

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
        name,
        [](tensorflow::OpKernelConstruction* context) -> tensorflow::OpKernel* {
          return new Op(context);
        });
  }
  return true;
}

}  // namespace tf_patches

#endif  // TF_PATCHES_XLA_OP_H_
