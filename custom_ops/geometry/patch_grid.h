// How a grid of patches lies on a batch of images. Counts and positions only:
// no dtype, no memory.
#ifndef TF_PATCHES_GEOMETRY_PATCH_GRID_H_
#define TF_PATCHES_GEOMETRY_PATCH_GRID_H_

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "geometry/axis.h"
#include "geometry/error.h"
#include "geometry/patch_spec.h"

namespace tf_patches {

using Shape = std::vector<int64_t>;

// Whether the size of a tensor fits in 63 bits, for elements of up to 16 bytes.
// Multiplies from the left, as TensorFlow does: only factors after a zero may
// be large.
bool CanBeAddressed(const Shape& shape);

// Images are `[batch, planes, rows, cols, depth]`, and patches `[batch, planes,
// rows, cols, patch_depth]`, both row-major; shapes have the last `axes` of the
// axes of space alone, as the others are a single pixel. The bytes of either,
// for elements of up to 16, fit in 63 bits.
struct PatchGrid {
  int64_t batch = 1;
  int axes = 2;
  std::array<Axis, kMostAxes> axis;
  int64_t depth = 1;

  const Axis& planes() const { return axis[0]; }
  const Axis& rows() const { return axis[1]; }
  const Axis& cols() const { return axis[2]; }

  // Rows of pixels in a patch, and in all images.
  int64_t patch_rows() const { return planes().patch * rows().patch; }
  int64_t image_rows() const { return batch * planes().image * rows().image; }

  int64_t patch_depth() const { return patch_rows() * cols().patch * depth; }
  int64_t patch_count() const {
    return batch * planes().count * rows().count * cols().count;
  }

  Shape image_shape() const { return ShapeOf(&Axis::image, depth); }
  Shape patches_shape() const { return ShapeOf(&Axis::count, patch_depth()); }

  // The same patches with as few axes as possible. An axis that every patch
  // spans from end to end becomes depth. An outermost axis whose pixels are
  // patches becomes batch.
  PatchGrid Reduced() const;

 private:
  Shape ShapeOf(int64_t Axis::* extent, int64_t last) const;
};

// Lays the patches of `spec` on images of `image_shape`, which is fully known
// and has as many axes.
std::optional<Error> MakePatchGrid(const Shape& image_shape,
                                   const PatchSpec& spec, PatchGrid* grid);

}  // namespace tf_patches

#endif  // TF_PATCHES_GEOMETRY_PATCH_GRID_H_
