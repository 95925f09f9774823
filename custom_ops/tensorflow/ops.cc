// Definitions of the ops, and what can be said of their results' shapes before
// they run.
#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "geometry/patch_grid.h"
#include "geometry/patch_spec.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/request.h"

namespace tf_patches {
namespace {

using ::tensorflow::shape_inference::DimensionHandle;
using ::tensorflow::shape_inference::InferenceContext;
using ::tensorflow::shape_inference::ShapeHandle;

bool SpaceIsKnown(InferenceContext* c, ShapeHandle images) {
  return c->RankKnown(images) && c->ValueKnown(c->Dim(images, 1)) &&
         c->ValueKnown(c->Dim(images, 2));
}

absl::Status Refuse(const char* name, const char* wants,
                    const std::vector<int32_t>& values) {
  return absl::InvalidArgumentError(absl::StrCat(
      name, wants, ", but got [", absl::StrJoin(values, ", "), "]."));
}

// TensorFlow's shape function calls invalid what its kernel accepts, a list of
// more than four values, and what its kernel calls out of range: strides, at
// which it looks only where it counts patches.
absl::Status CheckBeforeKernel(InferenceContext* c, ShapeHandle images) {
  std::vector<int32_t> sizes, strides, rates;
  TF_RETURN_IF_ERROR(c->GetAttr("ksizes", &sizes));
  TF_RETURN_IF_ERROR(c->GetAttr("strides", &strides));
  TF_RETURN_IF_ERROR(c->GetAttr("rates", &rates));
  const char* const four = " must have 4 values, [1, rows, cols, 1]";
  if (sizes.size() != 4) return Refuse("sizes", four, sizes);
  if (strides.size() != 4) return Refuse("strides", four, strides);
  if (rates.size() != 4) return Refuse("rates", four, rates);
  if (SpaceIsKnown(c, images) && std::min(strides[1], strides[2]) < 1) {
    return Refuse("strides", " must be at least 1", strides);
  }
  return absl::OkStatus();
}

absl::Status ReadPatchSpec(InferenceContext* c, ShapeHandle images,
                           PatchSpec* spec) {
  TF_RETURN_IF_ERROR(CheckBeforeKernel(c, images));
  return tf_patches::ReadPatchSpec(c, spec);
}

absl::Status WithRank4(InferenceContext* c, const char* name,
                       ShapeHandle* shape) {
  if (c->WithRank(c->input(0), 4, shape).ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, " must be 4-dimensional, but got shape ",
                   c->DebugString(c->input(0)), "."));
}

absl::Status CountPatches(InferenceContext* c, const char* name,
                          DimensionHandle image, const AxisSpec& spec,
                          Padding padding, DimensionHandle* count) {
  if (c->ValueKnown(image)) {
    Axis axis;
    if (auto error = MakeAxis(name, c->Value(image), spec, padding, &axis)) {
      return ToStatus(error);
    }
    *count = c->MakeDim(axis.count);
    return absl::OkStatus();
  }
  const bool one_per_pixel = spec.stride == 1 && (padding == Padding::kSame ||
                                                  spec.EffectiveSize() == 1);
  *count = one_per_pixel ? image : c->UnknownDim();
  return absl::OkStatus();
}

// The shape of the patches of `images`, of rank 4.
absl::Status PatchesShape(InferenceContext* c, ShapeHandle images,
                          const PatchSpec& spec, ShapeHandle* patches) {
  const DimensionHandle batch = c->Dim(images, 0);
  const DimensionHandle depth = c->Dim(images, 3);
  DimensionHandle rows, cols, patch_depth;
  TF_RETURN_IF_ERROR(CountPatches(c, "rows", c->Dim(images, 1), spec.rows,
                                  spec.padding, &rows));
  TF_RETURN_IF_ERROR(CountPatches(c, "cols", c->Dim(images, 2), spec.cols,
                                  spec.padding, &cols));
  TF_RETURN_IF_ERROR(
      c->Multiply(depth, spec.rows.size * spec.cols.size, &patch_depth));
  if (c->FullyDefined(images)) {
    PatchGrid grid;
    const std::array<int64_t, 4> shape = {
        c->Value(batch), c->Value(c->Dim(images, 1)),
        c->Value(c->Dim(images, 2)), c->Value(depth)};
    TF_RETURN_IF_ERROR(ToStatus(MakePatchGrid(shape, spec, &grid)));
  }
  *patches = c->MakeShape({batch, rows, cols, patch_depth});
  return absl::OkStatus();
}

absl::Status ExtractPatchesShape(InferenceContext* c) {
  ShapeHandle images, patches;
  TF_RETURN_IF_ERROR(WithRank4(c, "images", &images));
  PatchSpec spec;
  TF_RETURN_IF_ERROR(ReadPatchSpec(c, images, &spec));
  TF_RETURN_IF_ERROR(PatchesShape(c, images, spec, &patches));
  c->set_output(0, patches);
  return absl::OkStatus();
}

// Completes `images`, which an image_shape that is not known leaves open, by
// what the patches tell.
absl::Status MergeShapes(InferenceContext* c, ShapeHandle patches,
                         const PatchSpec& spec, ShapeHandle* images) {
  DimensionHandle batch, depth;
  TF_RETURN_IF_ERROR(c->Merge(c->Dim(*images, 0), c->Dim(patches, 0), &batch));
  TF_RETURN_IF_ERROR(c->ReplaceDim(*images, 0, batch, images));
  if (c->ValueKnown(c->Dim(patches, 3))) {
    TF_RETURN_IF_ERROR(c->Divide(c->Dim(patches, 3),
                                 spec.rows.size * spec.cols.size,
                                 /*evenly_divisible=*/true, &depth));
    TF_RETURN_IF_ERROR(c->Merge(c->Dim(*images, 3), depth, &depth));
    TF_RETURN_IF_ERROR(c->ReplaceDim(*images, 3, depth, images));
  }
  ShapeHandle expected;
  TF_RETURN_IF_ERROR(PatchesShape(c, *images, spec, &expected));
  return c->Merge(patches, expected, &expected);
}

absl::Status FoldPatchesShape(InferenceContext* c) {
  ShapeHandle patches, images;
  TF_RETURN_IF_ERROR(WithRank4(c, "patches", &patches));
  TF_RETURN_IF_ERROR(c->MakeShapeFromShapeTensor(1, &images));
  const std::string given = c->DebugString(images);
  if (!c->WithRank(images, 4, &images).ok()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "image_shape must have 4 values, [batch, rows, cols, depth], but got ",
        given, "."));
  }
  PatchSpec spec;
  TF_RETURN_IF_ERROR(ReadPatchSpec(c, images, &spec));
  const std::string image_shape = c->DebugString(images);
  const absl::Status status = MergeShapes(c, patches, spec, &images);
  if (!status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "patches of shape ", c->DebugString(patches),
        " do not belong to image_shape ", image_shape, ": ", status.message()));
  }
  c->set_output(0, images);
  return absl::OkStatus();
}

REGISTER_OP("TFPatches>ExtractPatches")
    .Input("images: T")
    .Output("patches: T")
    .Attr("ksizes: list(int)")
    .Attr("strides: list(int)")
    .Attr("rates: list(int)")
    .Attr(
        "T: {bfloat16, half, float, double, int8, int16, int32, int64, uint8, "
        "uint16, uint32, uint64, complex64, complex128, bool}")
    .Attr(tensorflow::GetPaddingAttrString())
    .SetShapeFn(ExtractPatchesShape);

REGISTER_OP("TFPatches>FoldPatches")
    .Input("patches: T")
    .Input("image_shape: Tshape")
    .Output("images: T")
    .Attr("ksizes: list(int)")
    .Attr("strides: list(int)")
    .Attr("rates: list(int)")
    .Attr(
        "T: {bfloat16, half, float, double, int8, int16, int32, int64, uint8, "
        "uint16, uint32, uint64, complex64, complex128}")
    .Attr("Tshape: {int32, int64} = DT_INT64")
    .Attr(tensorflow::GetPaddingAttrString())
    .SetShapeFn(FoldPatchesShape);

}  // namespace
}  // namespace tf_patches
