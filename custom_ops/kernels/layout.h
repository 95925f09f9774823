// How far apart things lie in images and patches.
#ifndef TF_PATCHES_KERNELS_LAYOUT_H_
#define TF_PATCHES_KERNELS_LAYOUT_H_

#include <cstdint>

#include "geometry/patch_grid.h"

namespace tf_patches {

// The step between `count` things that lie `apart` units from each other. A
// single thing needs no step, and its `apart` may be too large to multiply.
inline int64_t StepBetween(int64_t count, int64_t apart, int64_t unit) {
  return (count > 1 ? apart : 1) * unit;
}

// Lengths in numbers; a pixel has `pixel` numbers.
struct Layout {
  Layout(const PatchGrid& grid, int64_t pixel)
      : pixel(pixel),
        image_row(grid.cols().image * pixel),
        patch_row(grid.cols().patch * pixel),
        patch(grid.patch_rows() * patch_row),
        patch_line(grid.cols().count * patch) {}

  int64_t pixel;
  int64_t image_row;
  int64_t patch_row;
  int64_t patch;
  int64_t patch_line;  // patches that differ in the last axis only
};

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_LAYOUT_H_
