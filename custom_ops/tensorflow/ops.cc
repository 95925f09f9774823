// Definitions of the ops, and what can be said of their results' shapes before
// they run.
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

// TensorFlow's shape function takes four values and no more, its kernel four or
// more.
absl::Status CheckLengths(InferenceContext* c) {
  for (const char* name : {"ksizes", "strides", "rates"}) {
    std::vector<int32_t> values;
    TF_RETURN_IF_ERROR(c->GetAttr(name, &values));
    if (values.size() > 4) {
      return absl::InvalidArgumentError(
          absl::StrCat(name == std::string("ksizes") ? "sizes" : name,
                       " must have 4 values, [1, rows, cols, 1], but got [",
                       absl::StrJoin(values, ", "), "]."));
    }
  }
  return absl::OkStatus();
}

// TensorFlow's shape function looks at strides only where it counts patches,
// and calls wrong ones invalid; its kernel calls them out of range.
absl::Status ReadPatchSpec(InferenceContext* c, ShapeHandle images,
                           PatchSpec* spec) {
  TF_RETURN_IF_ERROR(CheckLengths(c));
  const absl::Status status = tf_patches::ReadPatchSpec(c, spec);
  if (absl::IsOutOfRange(status) && SpaceIsKnown(c, images) &&
      absl::StartsWith(status.message(), "strides")) {
    return absl::InvalidArgumentError(status.message());
  }
  return status;
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
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, &images));
  PatchSpec spec;
  TF_RETURN_IF_ERROR(ReadPatchSpec(c, images, &spec));
  TF_RETURN_IF_ERROR(PatchesShape(c, images, spec, &patches));
  c->set_output(0, patches);
  return absl::OkStatus();
}

absl::Status FoldPatchesShape(InferenceContext* c) {
  ShapeHandle patches, images, expected;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, &patches));
  TF_RETURN_IF_ERROR(c->MakeShapeFromShapeTensor(1, &images));
  TF_RETURN_IF_ERROR(c->WithRank(images, 4, &images));
  PatchSpec spec;
  TF_RETURN_IF_ERROR(ReadPatchSpec(c, images, &spec));
  // What the patches tell of an image shape that is not known.
  DimensionHandle batch;
  TF_RETURN_IF_ERROR(c->Merge(c->Dim(images, 0), c->Dim(patches, 0), &batch));
  TF_RETURN_IF_ERROR(c->ReplaceDim(images, 0, batch, &images));
  const DimensionHandle patch_depth = c->Dim(patches, 3);
  const int64_t patch_pixels = spec.rows.size * spec.cols.size;
  if (c->ValueKnown(patch_depth)) {
    DimensionHandle depth;
    TF_RETURN_IF_ERROR(c->Divide(patch_depth, patch_pixels,
                                 /*evenly_divisible=*/true, &depth));
    TF_RETURN_IF_ERROR(c->Merge(c->Dim(images, 3), depth, &depth));
    TF_RETURN_IF_ERROR(c->ReplaceDim(images, 3, depth, &images));
  }
  TF_RETURN_IF_ERROR(PatchesShape(c, images, spec, &expected));
  TF_RETURN_IF_ERROR(c->Merge(patches, expected, &expected));
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
    .Attr("Tshape: {int32, int64} = DT_INT32")
    .Attr(tensorflow::GetPaddingAttrString())
    .SetShapeFn(FoldPatchesShape);

}  // namespace
}  // namespace tf_patches
