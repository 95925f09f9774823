// Images cut into tiles, for work that goes row by row within each.
#ifndef TF_PATCHES_KERNELS_TILES_H_
#define TF_PATCHES_KERNELS_TILES_H_

#include <algorithm>
#include <cstdint>

#include "geometry/axis.h"

namespace tf_patches {

// Cuts each row of `cols` pixels into the fewest tiles of up to `most` pixels,
// about equally wide. A unit of work is a row of a tile. Units are numbered in
// the order in which their pixels are stored.
class Tiles {
 public:
  Tiles(int64_t cols, int64_t most)
      : cols_(cols),
        count_((cols - 1) / most + 1),
        width_((cols - 1) / count_ + 1) {}

  int64_t count() const { return count_; }

  Range Cols(int64_t tile) const {
    return {tile * width_, std::min(cols_, (tile + 1) * width_)};
  }

  // Calls `use` with each tile and its rows that are among the units `which`.
  template <typename Use>
  void ForEach(Range which, const Use& use) const {
    for (int64_t tile = 0; tile < count_; ++tile) {
      const Range rows = {RowsBefore(which.begin, tile),
                          RowsBefore(which.end, tile)};
      if (!rows.empty()) use(tile, rows);
    }
  }

 private:
  // Rows of a tile among the units before `unit`.
  int64_t RowsBefore(int64_t unit, int64_t tile) const {
    return (unit - tile + count_ - 1) / count_;
  }

  int64_t cols_;
  int64_t count_;
  int64_t width_;
};

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_TILES_H_
