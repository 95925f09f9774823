// From an op's attributes and shapes to the geometry, and from the geometry's
// errors to TensorFlow's.
#ifndef TF_PATCHES_TENSORFLOW_REQUEST_H_
#define TF_PATCHES_TENSORFLOW_REQUEST_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "geometry/patch_grid.h"
#include "geometry/patch_spec.h"
#include "tensorflow/core/util/padding.h"

namespace tf_patches {

inline absl::Status ToStatus(const Error& error) {
  switch (error.kind) {
    case ErrorKind::kOutOfRange:
      return absl::OutOfRangeError(error.message);
    case ErrorKind::kUnimplemented:
      return absl::UnimplementedError(error.message);
    case ErrorKind::kInvalidArgument:
      break;
  }
  return absl::InvalidArgumentError(error.message);
}

inline absl::Status ToStatus(const std::optional<Error>& error) {
  return error ? ToStatus(*error) : absl::OkStatus();
}

// How a tensor of a shape is refused.
using Refusal = Error(const std::string& shape);

// `Context` is an OpKernelConstruction or an InferenceContext.
template <typename Context>
absl::Status ReadPatchSpec(Context* context, PatchSpec* spec) {
  std::vector<int32_t> sizes, strides, rates;
  tensorflow::Padding padding;
  absl::Status status = context->GetAttr("ksizes", &sizes);
  status.Update(context->GetAttr("strides", &strides));
  status.Update(context->GetAttr("rates", &rates));
  status.Update(context->GetAttr("padding", &padding));
  if (!status.ok()) return status;
  return ToStatus(ParsePatchSpec(
      sizes, strides, rates,
      padding == tensorflow::SAME ? Padding::kSame : Padding::kValid, spec));
}

}  // namespace tf_patches

#endif  // TF_PATCHES_TENSORFLOW_REQUEST_H_
