// From an op's attributes and shapes to the geometry, and from the geometry's
// errors to TensorFlow's.
#ifndef TF_PATCHES_TENSORFLOW_REQUEST_H_
#define TF_PATCHES_TENSORFLOW_REQUEST_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "geometry/patch_grid.h"
#include "geometry/patch_spec.h"
#include "geometry/placement.h"
#include "kernels/weights.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/types.h"

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

// The error for a tensor of this shape.
using Refusal = Error(int axes, const std::string& shape);

// What an attribute's name stands for. TensorFlow checks attributes against the
// op's definition, but not those of ops in functions.
template <typename Value>
absl::Status FindName(const char* attribute, const std::string& name,
                      const std::map<std::string, Value>& names, Value* value) {
  const auto found = names.find(name);
  if (found == names.end()) {
    return absl::InvalidArgumentError(std::string(attribute) +
                                      " has an unknown value: '" + name + "'");
  }
  *value = found->second;
  return absl::OkStatus();
}

inline absl::Status ReadPadding(const std::string& name, Padding* padding) {
  static const std::map<std::string, Padding> paddings = {
      {"VALID", Padding::kValid},
      {"SAME", Padding::kSame},
      {"SAME_UNCLAMPED", Padding::kSameUnclamped},
      {"EXPLICIT", Padding::kExplicit}};
  return FindName("padding", name, paddings, padding);
}

inline absl::Status ReadBorder(const std::string& mode, Border* border) {
  static const std::map<std::string, Border> borders = {
      {"CONSTANT", Border::kConstant},
      {"REFLECT", Border::kReflect},
      {"SYMMETRIC", Border::kSymmetric},
      {"EDGE", Border::kEdge},
      {"WRAP", Border::kWrap}};
  return FindName("mode", mode, borders, border);
}

// Those that TensorFlow's own ops have too. `Context` is an
// OpKernelConstruction or an InferenceContext.
template <typename Context>
absl::Status ReadBuiltinAttributes(Context* context,
                                   PatchAttributes* attributes) {
  std::string padding;
  absl::Status status = context->GetAttr("ksizes", &attributes->sizes);
  status.Update(context->GetAttr("strides", &attributes->strides));
  status.Update(context->GetAttr("padding", &padding));
  if (!status.ok()) return status;
  return ReadPadding(padding, &attributes->padding);
}

// All those of our ops.
template <typename Context>
absl::Status ReadAttributes(Context* context, PatchAttributes* attributes) {
  std::string mode;
  absl::Status status = ReadBuiltinAttributes(context, attributes);
  status.Update(context->GetAttr("rates", &attributes->rates));
  status.Update(
      context->GetAttr("explicit_paddings", &attributes->explicit_paddings));
  status.Update(context->GetAttr("mode", &mode));
  if (!status.ok()) return status;
  return ReadBorder(mode, &attributes->border);
}

// The bytes of the constant outside of images, which are the first input.
inline absl::Status ReadConstant(tensorflow::OpKernelConstruction* context,
                                 std::string* constant) {
  const absl::Status status = context->GetAttr("constant_values", constant);
  if (!status.ok()) return status;
  const auto bytes =
      static_cast<size_t>(tensorflow::DataTypeSize(context->input_type(0)));
  if (constant->empty() || constant->size() == bytes) return absl::OkStatus();
  return ToStatus(WrongConstant(bytes, constant->size()));
}

// Those of ops that place patches one by one.
template <typename Context>
absl::Status ReadPlacementAttributes(Context* context,
                                     PlacementAttributes* attributes) {
  std::string mode;
  absl::Status status = context->GetAttr("sizes", &attributes->sizes);
  status.Update(context->GetAttr("rates", &attributes->rates));
  status.Update(context->GetAttr("mode", &mode));
  if (!status.ok()) return status;
  return ReadBorder(mode, &attributes->border);
}

template <typename Context>
absl::Status ReadReduction(Context* context, Reduction* reduction) {
  static const std::map<std::string, Reduction> reductions = {
      {"SUM", Reduction::kSum},
      {"MEAN", Reduction::kMean},
      {"MAX", Reduction::kMax},
      {"MIN", Reduction::kMin}};
  std::string name;
  const absl::Status status = context->GetAttr("reduction", &name);
  if (!status.ok()) return status;
  return FindName("reduction", name, reductions, reduction);
}

// Extremes are not weighted.
inline absl::Status WrongExtremes() {
  return absl::InvalidArgumentError(
      "weights must be none for reduction MAX or MIN.");
}

// Whether numbers of a dtype can be so reduced.
inline absl::Status CheckReduction(Reduction reduction,
                                   tensorflow::DataType dtype) {
  const std::string got =
      " numbers, but patches are " + tensorflow::DataTypeString(dtype) + ".";
  if (reduction == Reduction::kMean && tensorflow::DataTypeIsInteger(dtype)) {
    return absl::InvalidArgumentError(
        "reduction MEAN is one of floating or complex" + got +
        " Cast them first: tf.cast(patches, tf.float32).");
  }
  if (IsExtreme(reduction) && tensorflow::DataTypeIsComplex(dtype)) {
    return absl::InvalidArgumentError("reduction MAX or MIN is one of real" +
                                      got);
  }
  return absl::OkStatus();
}

}  // namespace tf_patches

#endif  // TF_PATCHES_TENSORFLOW_REQUEST_H_
