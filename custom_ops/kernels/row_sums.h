// Which rows of patches are added to each row of an image.
#ifndef TF_PATCHES_KERNELS_ROW_SUMS_H_
#define TF_PATCHES_KERNELS_ROW_SUMS_H_

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "geometry/patch_grid.h"
#include "kernels/layout.h"
#include "kernels/sum.h"

namespace tf_patches {

// The pixels of an axis in classes. Each pixel near the borders is a class of
// its own; the pixels between repeat after a stride.
class PixelClasses {
 public:
  explicit PixelClasses(const Axis& axis)
      : stride_(axis.stride), even_(axis.Even()) {
    if (even_.size() <= stride_) even_ = {0, 0};
    skipped_ = std::max<int64_t>(0, even_.size() - stride_);
    count_ = axis.image - skipped_;
  }

  int64_t count() const { return count_; }
  // The first pixel of a class.
  int64_t First(int64_t of) const {
    return of < count_ - After() ? of : of + skipped_;
  }
  int64_t Of(int64_t pixel) const {
    if (even_.Holds(pixel)) {
      return even_.begin + (pixel - even_.begin) % stride_;
    }
    return pixel < even_.begin ? pixel : pixel - skipped_;
  }
  // How many strides after the first of its class a pixel lies.
  int64_t Strides(int64_t pixel) const {
    return even_.Holds(pixel) ? (pixel - even_.begin) / stride_ : 0;
  }

 private:
  int64_t After() const { return count_ + skipped_ - even_.end; }

  int64_t stride_;
  Range even_;
  int64_t skipped_;
  int64_t count_;
};

// Planned once for an image, in the order in which the rows are added.
class RowSums {
 public:
  // The rows of patches, the first of which lies so many numbers after the
  // start of the patches of an image.
  struct Sum {
    int64_t first;
    Offsets rows;
  };

  RowSums(const PatchGrid& grid, const Layout& layout)
      : line_(layout.patch_line),
        plane_(grid.rows().count * line_),
        planes_(grid.planes()),
        rows_(grid.rows()) {
    const std::vector<std::vector<Tap>> over_rows =
        TapsOver(grid.rows(), rows_);
    for (const std::vector<Tap>& planes : TapsOver(grid.planes(), planes_)) {
      for (const std::vector<Tap>& rows : over_rows) {
        sums_.push_back(MakeOffsets(planes, rows, grid, layout));
      }
    }
  }

  // Of row `row` of plane `plane`.
  Sum Of(int64_t plane, int64_t row) const {
    const int64_t of = planes_.Of(plane) * rows_.count() + rows_.Of(row);
    const int64_t strides =
        planes_.Strides(plane) * plane_ + rows_.Strides(row) * line_;
    return {sums_[of].first + strides, sums_[of].offsets()};
  }

 private:
  static std::vector<std::vector<Tap>> TapsOver(const Axis& axis,
                                                const PixelClasses& classes) {
    std::vector<std::vector<Tap>> taps;
    for (int64_t i = 0; i < classes.count(); ++i) {
      taps.push_back(axis.TapsOver(classes.First(i)));
    }
    return taps;
  }

  OffsetList MakeOffsets(const std::vector<Tap>& planes,
                         const std::vector<Tap>& rows, const PatchGrid& grid,
                         const Layout& layout) const {
    std::vector<int64_t> at;
    at.reserve(planes.size() * rows.size());
    for (const Tap& p : planes) {
      for (const Tap& r : rows) {
        const int64_t row = p.tap * grid.rows().patch + r.tap;
        at.push_back(p.index * plane_ + r.index * line_ +
                     row * layout.patch_row);
      }
    }
    return OffsetList(std::move(at));
  }

  const int64_t line_;
  const int64_t plane_;
  const PixelClasses planes_;
  const PixelClasses rows_;
  std::vector<OffsetList> sums_;  // of each class
};

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_ROW_SUMS_H_
