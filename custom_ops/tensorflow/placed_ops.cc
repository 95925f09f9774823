// Definitions of the ops whose patches lie at given positions.
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "geometry/placement.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/op_definition.h"
#include "tensorflow/request.h"

namespace tf_patches {
namespace {

using ::tensorflow::shape_inference::DimensionHandle;
using ::tensorflow::shape_inference::InferenceContext;
using ::tensorflow::shape_inference::ShapeHandle;

// Reads how many patches an image has, which is the last but one dimension of
// `tensor`, `[count, axes]` or `[batch, count, axes]`. Completes `batch` and
// `count`; false if they contradict each other.
bool MergeCount(InferenceContext* c, ShapeHandle tensor, int axes,
                DimensionHandle* batch, DimensionHandle* count) {
  if (!c->RankKnown(tensor)) return true;
  const int rank = c->Rank(tensor);
  DimensionHandle last;
  if (rank != 2 && rank != 3) return false;
  if (!c->WithValue(c->Dim(tensor, rank - 1), axes, &last).ok()) return false;
  if (!c->Merge(*count, c->Dim(tensor, rank - 2), count).ok()) return false;
  return rank == 2 || c->Merge(*batch, c->Dim(tensor, 0), batch).ok();
}

// As MergeCount, of the inputs `positions` and `flips`.
absl::Status MergePlaces(InferenceContext* c, int axes, DimensionHandle* batch,
                         DimensionHandle* count) {
  const ShapeHandle positions = c->input(1);
  if (!MergeCount(c, positions, axes, batch, count)) {
    return ToStatus(WrongPositions(axes, c->DebugString(positions)));
  }
  const ShapeHandle flips = c->input(2);
  if (MayBeMissing(c, flips)) return absl::OkStatus();
  if (MergeCount(c, flips, axes, batch, count)) return absl::OkStatus();
  return ToStatus(WrongFlips(c->DebugString(positions), c->DebugString(flips)));
}

ShapeHandle PatchesShape(InferenceContext* c, DimensionHandle batch,
                         DimensionHandle count,
                         const std::vector<int64_t>& sizes,
                         DimensionHandle depth) {
  std::vector<DimensionHandle> shape = {batch, count};
  for (const int64_t size : sizes) shape.push_back(c->MakeDim(size));
  shape.push_back(depth);
  return c->MakeShape(shape);
}

// Checks what only shows where all of a shape is known.
absl::Status CheckKnown(InferenceContext* c, ShapeHandle images,
                        DimensionHandle count,
                        const PlacementAttributes& attributes) {
  if (!c->FullyDefined(images) || !c->ValueKnown(count)) {
    return absl::OkStatus();
  }
  Shape shape;
  for (int i = 0; i < c->Rank(images); ++i) {
    shape.push_back(c->Value(c->Dim(images, i)));
  }
  Placement placement;
  return ToStatus(
      MakePlacement(shape, c->Value(count), attributes, &placement));
}

absl::Status ExtractPatchesAtShape(InferenceContext* c) {
  PlacementAttributes attributes;
  TF_RETURN_IF_ERROR(ReadPlacementAttributes(c, &attributes));
  TF_RETURN_IF_ERROR(ToStatus(CheckPlacement(attributes)));
  const int axes = attributes.axes();
  ShapeHandle images;
  if (!c->WithRank(c->input(0), axes + 2, &images).ok()) {
    return ToStatus(WrongImages(axes, c->DebugString(c->input(0))));
  }
  DimensionHandle batch = c->Dim(images, 0);
  DimensionHandle count = c->UnknownDim();
  TF_RETURN_IF_ERROR(MergePlaces(c, axes, &batch, &count));
  TF_RETURN_IF_ERROR(CheckKnown(c, images, count, attributes));
  c->set_output(0, PatchesShape(c, batch, count, attributes.sizes,
                                c->Dim(images, axes + 1)));
  return absl::OkStatus();
}

absl::Status CheckProfiles(InferenceContext* c, ShapeHandle profiles,
                           DimensionHandle count,
                           const std::vector<int64_t>& sizes) {
  if (MayBeMissing(c, profiles)) return absl::OkStatus();
  int64_t factors = 0;
  for (const int64_t size : sizes) factors += size;
  DimensionHandle length, same;
  const bool is_matrix =
      c->Rank(profiles) == 2 &&
      c->WithValue(c->Dim(profiles, 1), factors, &length).ok();
  const bool is_right =
      is_matrix && (c->WithValue(c->Dim(profiles, 0), 1, &same).ok() ||
                    c->Merge(c->Dim(profiles, 0), count, &same).ok());
  if (is_right) return absl::OkStatus();
  return ToStatus(WrongProfiles(sizes, c->DebugString(profiles)));
}

absl::Status CheckWeights(InferenceContext* c, DimensionHandle count,
                          const std::vector<int64_t>& sizes) {
  const ShapeHandle window = c->input(4);
  const ShapeHandle profiles = c->input(5);
  Reduction reduction;
  TF_RETURN_IF_ERROR(CheckReduction(c, &reduction));
  const bool exist = !MayBeMissing(c, window) || !MayBeMissing(c, profiles);
  if (exist && IsExtreme(reduction)) return WrongExtremes();
  TF_RETURN_IF_ERROR(CheckWindow(c, window, sizes));
  return CheckProfiles(c, profiles, count, sizes);
}

absl::Status FoldPatchesAtShape(InferenceContext* c) {
  PlacementAttributes attributes;
  TF_RETURN_IF_ERROR(ReadPlacementAttributes(c, &attributes));
  TF_RETURN_IF_ERROR(ToStatus(CheckPlacement(attributes)));
  const int axes = attributes.axes();
  ShapeHandle patches, images, expected;
  if (!c->WithRank(c->input(0), axes + 3, &patches).ok()) {
    return ToStatus(WrongPlacedPatches(axes, c->DebugString(c->input(0))));
  }
  TF_RETURN_IF_ERROR(ReadImageShape(c, 3, axes, &images));
  DimensionHandle batch = c->Dim(images, 0);
  DimensionHandle depth = c->Dim(images, axes + 1);
  DimensionHandle count = c->Dim(patches, 1);
  if (!c->ValueKnown(batch)) batch = c->Dim(patches, 0);
  if (!c->ValueKnown(depth)) depth = c->Dim(patches, axes + 2);
  TF_RETURN_IF_ERROR(MergePlaces(c, axes, &batch, &count));
  expected = PatchesShape(c, batch, count, attributes.sizes, depth);
  if (!c->Merge(patches, expected, &patches).ok()) {
    return ToStatus(Mismatch(c->DebugString(patches), c->DebugString(images),
                             c->DebugString(expected)));
  }
  TF_RETURN_IF_ERROR(c->ReplaceDim(images, 0, batch, &images));
  TF_RETURN_IF_ERROR(c->ReplaceDim(images, axes + 1, depth, &images));
  TF_RETURN_IF_ERROR(CheckKnown(c, images, count, attributes));
  TF_RETURN_IF_ERROR(CheckWeights(c, count, attributes.sizes));
  c->set_output(0, images);
  return absl::OkStatus();
}

constexpr char kPositions[] = "Tpositions: {int32, int64} = DT_INT64";

REGISTER_OP("TFPatches>ExtractPatchesAt")
    .Input("images: T")
    .Input("positions: Tpositions")
    .Input("flips: bool")
    .Output("patches: T")
    .Attr("sizes: list(int)")
    .Attr("rates: list(int)")
    .Attr(kMoved)
    .Attr(kPositions)
    .Attr(kMode)
    .Attr("constant_values: string = ''")
    .SetShapeFn(ExtractPatchesAtShape);

REGISTER_OP("TFPatches>FoldPatchesAt")
    .Input("patches: T")
    .Input("positions: Tpositions")
    .Input("flips: bool")
    .Input("image_shape: Tshape")
    .Input("weights: T")
    .Input("profiles: T")
    .Output("images: T")
    .Attr("sizes: list(int)")
    .Attr("rates: list(int)")
    .Attr(kSummed)
    .Attr(kPositions)
    .Attr("Tshape: {int32, int64} = DT_INT64")
    .Attr(kMode)
    .Attr("reduction: {'SUM', 'MEAN', 'MAX', 'MIN'} = 'SUM'")
    .SetShapeFn(FoldPatchesAtShape);

}  // namespace
}  // namespace tf_patches
