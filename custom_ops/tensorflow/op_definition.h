// What the definitions of our ops have in common.
#ifndef TF_PATCHES_TENSORFLOW_OP_DEFINITION_H_
#define TF_PATCHES_TENSORFLOW_OP_DEFINITION_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "geometry/error.h"
#include "geometry/placement.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/request.h"

namespace tf_patches {

// The dtypes that are moved, and those that are summed too.
inline constexpr char kMoved[] =
    "T: {bfloat16, half, float, double, int8, int16, int32, int64, uint8, "
    "uint16, uint32, uint64, complex64, complex128, bool}";
inline constexpr char kSummed[] =
    "T: {bfloat16, half, float, double, int8, int16, int32, int64, uint8, "
    "uint16, uint32, uint64, complex64, complex128}";

inline constexpr char kMode[] =
    "mode: {'CONSTANT', 'REFLECT', 'SYMMETRIC', 'EDGE', 'WRAP'} = 'CONSTANT'";

// The shape in input `input`, the `image_shape`, as far as it is known.
inline absl::Status ReadImageShape(
    tensorflow::shape_inference::InferenceContext* c, int input, int axes,
    tensorflow::shape_inference::ShapeHandle* images) {
  tensorflow::shape_inference::ShapeHandle vector;
  tensorflow::shape_inference::DimensionHandle length;
  if (!c->WithRank(c->input(input), 1, &vector).ok() ||
      !c->WithValue(c->Dim(vector, 0), axes + 2, &length).ok()) {
    return ToStatus(WrongImageShape(axes, c->DebugString(c->input(input))));
  }
  const absl::Status status = c->MakeShapeFromShapeTensor(input, images);
  if (!status.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("image_shape cannot be read: ", status.message()));
  }
  return c->WithRank(*images, axes + 2, images);
}

// Reads `reduction`, and checks that numbers of the dtype can be so reduced.
inline absl::Status CheckReduction(
    tensorflow::shape_inference::InferenceContext* c, Reduction* reduction) {
  tensorflow::DataType dtype;
  TF_RETURN_IF_ERROR(c->GetAttr("T", &dtype));
  TF_RETURN_IF_ERROR(ReadReduction(c, reduction));
  return CheckReduction(*reduction, dtype);
}

// Whether weights, as far as their shape is known, are an empty vector.
inline bool MayBeMissing(tensorflow::shape_inference::InferenceContext* c,
                         tensorflow::shape_inference::ShapeHandle weights) {
  if (!c->RankKnown(weights)) return true;
  if (c->Rank(weights) != 1) return false;
  const auto length = c->Dim(weights, 0);
  return !c->ValueKnown(length) || c->Value(length) == 0;
}

// Checks `weights`, a window of patches of `sizes` or an empty vector.
inline absl::Status CheckWindow(
    tensorflow::shape_inference::InferenceContext* c,
    tensorflow::shape_inference::ShapeHandle weights,
    const std::vector<int64_t>& sizes) {
  if (MayBeMissing(c, weights)) return absl::OkStatus();
  tensorflow::shape_inference::ShapeHandle window;
  TF_RETURN_IF_ERROR(c->MakeShapeFromPartialTensorShape(
      tensorflow::PartialTensorShape(sizes), &window));
  if (c->Merge(weights, window, &window).ok()) return absl::OkStatus();
  return ToStatus(WrongWeights(sizes, c->DebugString(weights)));
}

}  // namespace tf_patches

#endif  // TF_PATCHES_TENSORFLOW_OP_DEFINITION_H_
