#include "geometry/patch_grid.h"

#include <algorithm>
#include <limits>
#include <string>

namespace tf_patches {
namespace {

constexpr int64_t kMaxElements = std::numeric_limits<int64_t>::max() / 16;

// "3 rows, 3 cols and depth 4"
std::string SizesText(const PatchSpec& spec, int64_t depth) {
  std::string text;
  for (int i = kMostAxes - spec.axes; i < kMostAxes; ++i) {
    if (!text.empty()) text += ", ";
    text += std::to_string(spec.axis[i].size) + " " + kAxisNames[i];
  }
  return text + " and depth " + std::to_string(depth);
}

}  // namespace

bool CanBeAddressed(const Shape& shape) {
  int64_t elements = 1;
  for (const int64_t dim : shape) {
    if (__builtin_mul_overflow(elements, dim, &elements)) return false;
  }
  return elements <= kMaxElements;
}

Shape PatchGrid::ShapeOf(int64_t Axis::* extent, int64_t last) const {
  Shape shape = {batch};
  for (int i = kMostAxes - axes; i < kMostAxes; ++i) {
    shape.push_back(axis[i].*extent);
  }
  shape.push_back(last);
  return shape;
}

PatchGrid PatchGrid::Reduced() const {
  PatchGrid grid = *this;
  grid.axes = kMostAxes;
  for (int i = 0; i < kMostAxes && grid.cols().IsWhole(); ++i) {
    grid.depth *= grid.cols().image;
    grid.axis = {Axis(), grid.planes(), grid.rows()};
  }
  for (int i = 0; i < kMostAxes - 1 && grid.axis[i].IsPixels(); ++i) {
    grid.batch *= grid.axis[i].image;
    grid.axis[i] = Axis();
  }
  return grid;
}

std::optional<Error> MakePatchGrid(const Shape& image_shape,
                                   const PatchSpec& spec, PatchGrid* grid) {
  if (*std::min_element(image_shape.begin(), image_shape.end()) < 0) {
    return Error{ErrorKind::kInvalidArgument,
                 "image_shape must not be negative, but got " +
                     ToString(image_shape) + "."};
  }
  grid->batch = image_shape.front();
  grid->axes = spec.axes;
  grid->depth = image_shape.back();
  grid->axis = {};
  for (int i = kMostAxes - spec.axes, k = 1; i < kMostAxes; ++i, ++k) {
    if (auto e = MakeAxis(kAxisNames[i], image_shape[k], spec.axis[i],
                          spec.padding, spec.border, &grid->axis[i])) {
      return e;
    }
  }
  int64_t patch_depth;
  if (__builtin_mul_overflow(spec.patch_pixels(), grid->depth, &patch_depth) ||
      patch_depth > kInt32Max) {
    return Error{ErrorKind::kInvalidArgument,
                 "sizes is too large: a patch of " +
                     SizesText(spec, grid->depth) +
                     " holds more than 2147483647 values."};
  }
  if (!CanBeAddressed(image_shape) || !CanBeAddressed(grid->patches_shape())) {
    return Error{ErrorKind::kInvalidArgument,
                 "Images of shape " + ToString(image_shape) +
                     " would have patches of shape " +
                     ToString(grid->patches_shape()) +
                     ", more than can be addressed."};
  }
  return std::nullopt;
}

}  // namespace tf_patches
