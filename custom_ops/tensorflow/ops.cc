// Definitions of the ops, with the shapes of results that are known before the
// ops run.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "geometry/patch_grid.h"
#include "geometry/patch_spec.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/op_definition.h"
#include "tensorflow/request.h"

namespace tf_patches {
namespace {

using ::tensorflow::shape_inference::DimensionHandle;
using ::tensorflow::shape_inference::InferenceContext;
using ::tensorflow::shape_inference::ShapeHandle;

bool SpaceIsKnown(InferenceContext* c, ShapeHandle images, int axes) {
  if (!c->RankKnown(images)) return false;
  for (int i = 1; i <= axes; ++i) {
    if (!c->ValueKnown(c->Dim(images, i))) return false;
  }
  return true;
}

// TensorFlow's shape function calls invalid what its kernel accepts, a list of
// more than four values, and what its kernel calls out of range: strides, at
// which it looks only where it counts patches.
absl::Status CheckBeforeKernel(InferenceContext* c, ShapeHandle images,
                               const PatchAttributes& attributes, int axes) {
  const auto& [sizes, strides, rates, padding, paddings, border] = attributes;
  const size_t length = axes + 2;
  if (sizes.size() != length) {
    return ToStatus(WrongLength("sizes", sizes, axes));
  }
  if (strides.size() != length) {
    return ToStatus(WrongLength("strides", strides, axes));
  }
  if (rates.size() != length) {
    return ToStatus(WrongLength("rates", rates, axes));
  }
  if (SpaceIsKnown(c, images, axes) &&
      *std::min_element(&strides[1], &strides[axes + 1]) < 1) {
    return absl::InvalidArgumentError(
        TooSmall("strides", strides, axes).message);
  }
  return absl::OkStatus();
}

absl::Status ReadPatchSpec(InferenceContext* c, ShapeHandle images, int axes,
                           const PatchAttributes& attributes, PatchSpec* spec) {
  TF_RETURN_IF_ERROR(CheckBeforeKernel(c, images, attributes, axes));
  return ToStatus(ParsePatchSpec(attributes, axes, spec));
}

// Reads the attributes, and how many axes of space the first input has.
absl::Status ReadRequest(InferenceContext* c, PatchAttributes* attributes,
                         int* axes) {
  TF_RETURN_IF_ERROR(ReadAttributes(c, attributes));
  const ShapeHandle input = c->input(0);
  *axes = CountAxes(c->RankKnown(input) ? c->Rank(input) : 0, *attributes);
  return absl::OkStatus();
}

absl::Status WithAxes(InferenceContext* c, int axes, Refusal* wrong,
                      ShapeHandle* shape) {
  if (c->WithRank(c->input(0), axes + 2, shape).ok()) return absl::OkStatus();
  return ToStatus(wrong(axes, c->DebugString(c->input(0))));
}

absl::Status CountPatches(InferenceContext* c, int axis, DimensionHandle image,
                          const PatchSpec& spec, DimensionHandle* count) {
  const AxisSpec& wanted = spec.axis[axis];
  if (c->ValueKnown(image)) {
    Axis made;
    if (auto error = MakeAxis(kAxisNames[axis], c->Value(image), wanted,
                              spec.padding, spec.border, &made)) {
      return ToStatus(error);
    }
    *count = c->MakeDim(made.count);
    return absl::OkStatus();
  }
  const bool is_same =
      spec.padding == Padding::kSame || spec.padding == Padding::kSameUnclamped;
  const bool one_per_pixel =
      wanted.stride == 1 &&
      (is_same || wanted.EffectiveSize() == 1 + wanted.before + wanted.after);
  *count = one_per_pixel ? image : c->UnknownDim();
  return absl::OkStatus();
}

// The shape of the patches of `images`, of as many axes as `spec`.
absl::Status PatchesShape(InferenceContext* c, ShapeHandle images,
                          const PatchSpec& spec, ShapeHandle* patches) {
  std::vector<DimensionHandle> shape = {c->Dim(images, 0)};
  for (int i = 1; i <= spec.axes; ++i) {
    TF_RETURN_IF_ERROR(CountPatches(c, kMostAxes - spec.axes - 1 + i,
                                    c->Dim(images, i), spec,
                                    &shape.emplace_back()));
  }
  TF_RETURN_IF_ERROR(c->Multiply(c->Dim(images, spec.axes + 1),
                                 spec.patch_pixels(), &shape.emplace_back()));
  if (c->FullyDefined(images)) {
    Shape known;
    for (int i = 0; i < spec.axes + 2; ++i) {
      known.push_back(c->Value(c->Dim(images, i)));
    }
    PatchGrid grid;
    TF_RETURN_IF_ERROR(ToStatus(MakePatchGrid(known, spec, &grid)));
  }
  *patches = c->MakeShape(shape);
  return absl::OkStatus();
}

absl::Status ExtractPatchesShape(InferenceContext* c) {
  PatchAttributes attributes;
  int axes;
  TF_RETURN_IF_ERROR(ReadRequest(c, &attributes, &axes));
  ShapeHandle images, patches;
  TF_RETURN_IF_ERROR(WithAxes(c, axes, WrongImages, &images));
  PatchSpec spec;
  TF_RETURN_IF_ERROR(ReadPatchSpec(c, images, axes, attributes, &spec));
  TF_RETURN_IF_ERROR(PatchesShape(c, images, spec, &patches));
  c->set_output(0, patches);
  return absl::OkStatus();
}

// Completes `images`, which an image_shape that is not known leaves open, by
// what the patches tell.
absl::Status Complete(InferenceContext* c, ShapeHandle patches,
                      const PatchSpec& spec, ShapeHandle* images) {
  if (!c->ValueKnown(c->Dim(*images, 0))) {
    TF_RETURN_IF_ERROR(c->ReplaceDim(*images, 0, c->Dim(patches, 0), images));
  }
  const int last = spec.axes + 1;
  const DimensionHandle values = c->Dim(patches, last);
  if (c->ValueKnown(c->Dim(*images, last)) || !c->ValueKnown(values)) {
    return absl::OkStatus();
  }
  const int64_t pixels = spec.patch_pixels();
  if (c->Value(values) % pixels != 0) {
    return ToStatus(NotWholePixels(pixels, c->DebugString(patches)));
  }
  return c->ReplaceDim(*images, last, c->MakeDim(c->Value(values) / pixels),
                       images);
}

absl::Status FoldPatchesShape(InferenceContext* c) {
  PatchAttributes attributes;
  int axes;
  TF_RETURN_IF_ERROR(ReadRequest(c, &attributes, &axes));
  ShapeHandle patches, images, expected, same;
  TF_RETURN_IF_ERROR(WithAxes(c, axes, WrongPatches, &patches));
  TF_RETURN_IF_ERROR(ReadImageShape(c, 1, axes, &images));
  PatchSpec spec;
  TF_RETURN_IF_ERROR(ReadPatchSpec(c, images, axes, attributes, &spec));
  TF_RETURN_IF_ERROR(Complete(c, patches, spec, &images));
  TF_RETURN_IF_ERROR(PatchesShape(c, images, spec, &expected));
  if (!c->Merge(patches, expected, &same).ok()) {
    return ToStatus(Mismatch(c->DebugString(patches), c->DebugString(images),
                             c->DebugString(expected)));
  }
  c->set_output(0, images);
  return absl::OkStatus();
}

absl::Status FoldWeightedPatchesShape(InferenceContext* c) {
  Reduction reduction;
  TF_RETURN_IF_ERROR(CheckReduction(c, &reduction));
  TF_RETURN_IF_ERROR(FoldPatchesShape(c));
  PatchAttributes attributes;
  int axes;
  TF_RETURN_IF_ERROR(ReadRequest(c, &attributes, &axes));
  PatchSpec spec;
  TF_RETURN_IF_ERROR(ToStatus(ParsePatchSpec(attributes, axes, &spec)));
  return CheckWindow(c, c->input(2), spec.sizes());
}

constexpr char kPadding[] =
    "padding: {'SAME', 'VALID', 'EXPLICIT', 'SAME_UNCLAMPED'}";
constexpr char kExplicitPaddings[] = "explicit_paddings: list(int) = []";

REGISTER_OP("TFPatches>ExtractPatches")
    .Input("images: T")
    .Output("patches: T")
    .Attr("ksizes: list(int)")
    .Attr("strides: list(int)")
    .Attr("rates: list(int)")
    .Attr(kMoved)
    .Attr(kPadding)
    .Attr(kExplicitPaddings)
    .Attr(kMode)
    .Attr("constant_values: string = ''")
    .SetShapeFn(ExtractPatchesShape);

REGISTER_OP("TFPatches>FoldPatches")
    .Input("patches: T")
    .Input("image_shape: Tshape")
    .Output("images: T")
    .Attr("ksizes: list(int)")
    .Attr("strides: list(int)")
    .Attr("rates: list(int)")
    .Attr(kSummed)
    .Attr("Tshape: {int32, int64} = DT_INT64")
    .Attr(kPadding)
    .Attr(kExplicitPaddings)
    .Attr(kMode)
    .SetShapeFn(FoldPatchesShape);

REGISTER_OP("TFPatches>FoldWeightedPatches")
    .Input("patches: T")
    .Input("image_shape: Tshape")
    .Input("weights: T")
    .Output("images: T")
    .Attr("ksizes: list(int)")
    .Attr("strides: list(int)")
    .Attr("rates: list(int)")
    .Attr(kSummed)
    .Attr("Tshape: {int32, int64} = DT_INT64")
    .Attr(kPadding)
    .Attr(kExplicitPaddings)
    .Attr(kMode)
    .Attr("reduction: {'SUM', 'MEAN'} = 'SUM'")
    .SetShapeFn(FoldWeightedPatchesShape);

}  // namespace
}  // namespace tf_patches
