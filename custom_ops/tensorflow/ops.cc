// Definitions of the ops, and what can be said of their results' shapes before
// they run.
#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
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

// TensorFlow's shape function calls invalid what its kernel accepts, a list of
// more than four values, and what its kernel calls out of range: strides, at
// which it looks only where it counts patches.
absl::Status CheckBeforeKernel(InferenceContext* c, ShapeHandle images) {
  std::vector<int32_t> sizes, strides, rates;
  TF_RETURN_IF_ERROR(c->GetAttr("ksizes", &sizes));
  TF_RETURN_IF_ERROR(c->GetAttr("strides", &strides));
  TF_RETURN_IF_ERROR(c->GetAttr("rates", &rates));
  if (sizes.size() != 4) return ToStatus(WrongLength("sizes", sizes));
  if (strides.size() != 4) return ToStatus(WrongLength("strides", strides));
  if (rates.size() != 4) return ToStatus(WrongLength("rates", rates));
  if (SpaceIsKnown(c, images) && std::min(strides[1], strides[2]) < 1) {
    return absl::InvalidArgumentError(TooSmall("strides", strides).message);
  }
  return absl::OkStatus();
}

absl::Status ReadPatchSpec(InferenceContext* c, ShapeHandle images,
                           PatchSpec* spec) {
  TF_RETURN_IF_ERROR(CheckBeforeKernel(c, images));
  return tf_patches::ReadPatchSpec(c, spec);
}

absl::Status WithRank4(InferenceContext* c, Refusal* wrong,
                       ShapeHandle* shape) {
  if (c->WithRank(c->input(0), 4, shape).ok()) return absl::OkStatus();
  return ToStatus(wrong(c->DebugString(c->input(0))));
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
  TF_RETURN_IF_ERROR(WithRank4(c, WrongImages, &images));
  PatchSpec spec;
  TF_RETURN_IF_ERROR(ReadPatchSpec(c, images, &spec));
  TF_RETURN_IF_ERROR(PatchesShape(c, images, spec, &patches));
  c->set_output(0, patches);
  return absl::OkStatus();
}

// The shape in the input `image_shape`, as far as it is known.
absl::Status ReadImageShape(InferenceContext* c, ShapeHandle* images) {
  ShapeHandle vector;
  DimensionHandle length;
  if (!c->WithRank(c->input(1), 1, &vector).ok() ||
      !c->WithValue(c->Dim(vector, 0), 4, &length).ok()) {
    return ToStatus(WrongImageShape(c->DebugString(c->input(1))));
  }
  const absl::Status status = c->MakeShapeFromShapeTensor(1, images);
  if (!status.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("image_shape cannot be read: ", status.message()));
  }
  return c->WithRank(*images, 4, images);
}

// Completes `images`, which an image_shape that is not known leaves open, by
// what the patches tell.
absl::Status Complete(InferenceContext* c, ShapeHandle patches,
                      const PatchSpec& spec, ShapeHandle* images) {
  if (!c->ValueKnown(c->Dim(*images, 0))) {
    TF_RETURN_IF_ERROR(c->ReplaceDim(*images, 0, c->Dim(patches, 0), images));
  }
  const DimensionHandle values = c->Dim(patches, 3);
  if (c->ValueKnown(c->Dim(*images, 3)) || !c->ValueKnown(values)) {
    return absl::OkStatus();
  }
  const int64_t pixels = spec.rows.size * spec.cols.size;
  if (c->Value(values) % pixels != 0) {
    return ToStatus(NotWholePixels(spec.rows.size, spec.cols.size,
                                   c->DebugString(patches)));
  }
  return c->ReplaceDim(*images, 3, c->MakeDim(c->Value(values) / pixels),
                       images);
}

absl::Status FoldPatchesShape(InferenceContext* c) {
  ShapeHandle patches, images, expected, same;
  TF_RETURN_IF_ERROR(WithRank4(c, WrongPatches, &patches));
  TF_RETURN_IF_ERROR(ReadImageShape(c, &images));
  PatchSpec spec;
  TF_RETURN_IF_ERROR(ReadPatchSpec(c, images, &spec));
  TF_RETURN_IF_ERROR(Complete(c, patches, spec, &images));
  TF_RETURN_IF_ERROR(PatchesShape(c, images, spec, &expected));
  if (!c->Merge(patches, expected, &same).ok()) {
    return ToStatus(Mismatch(c->DebugString(patches), c->DebugString(images),
                             c->DebugString(expected)));
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
