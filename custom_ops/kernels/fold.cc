#include "kernels/fold.h"

#include <algorithm>

#include "kernels/number.h"

namespace tf_patches {
namespace {

template <typename T>
void AddTo(T* sums, const T* values, int64_t count) {
  for (int64_t i = 0; i < count; ++i) sums[i] = Add(sums[i], values[i]);
}

// Sums one image at a time, reading its patches in the order they are stored,
// which is the order in which each pixel's values must be added.
template <typename T>
class Folder {
 public:
  Folder(const PatchGrid& grid, const T* patches, T* images)
      : grid_(grid),
        patch_row_(grid.cols.patch * grid.depth),
        patch_(grid.rows.patch * patch_row_),
        image_row_(grid.cols.image * grid.depth),
        patches_(patches),
        images_(images) {}

  // Writes the rows `which` of image `batch`.
  void FoldRows(int64_t batch, Range which) const {
    T* const image = images_ + batch * grid_.rows.image * image_row_;
    std::fill(image + which.begin * image_row_, image + which.end * image_row_,
              T());
    const Range lines = grid_.rows.Touching(which);
    for (int64_t line = lines.begin; line < lines.end; ++line) {
      const Range taps = grid_.rows.TapsOn(line, which);
      if (!taps.empty()) FoldLine(batch, line, taps, image);
    }
  }

 private:
  // Adds the rows `taps` of the patches in row `line` of the grid.
  void FoldLine(int64_t batch, int64_t line, Range taps, T* image) const {
    const int64_t first_row =
        grid_.rows.Start(line) + taps.begin * grid_.rows.rate;
    T* const row = image + first_row * image_row_;
    const T* patch =
        patches_ +
        (batch * grid_.rows.count + line) * grid_.cols.count * patch_ +
        taps.begin * patch_row_;
    for (int64_t col = 0; col < grid_.cols.count; ++col, patch += patch_) {
      FoldPatch(patch, taps.size(), grid_.cols.TapsInside(col),
                row + grid_.cols.Start(col) * grid_.depth);
    }
  }

  void FoldPatch(const T* patch, int64_t rows, Range taps, T* image) const {
    const int64_t step = grid_.cols.rate * grid_.depth;
    for (int64_t row = 0; row < rows; ++row) {
      const T* values = patch + taps.begin * grid_.depth;
      T* sums = image + taps.begin * step;
      if (grid_.cols.rate == 1) {
        AddTo(sums, values, taps.size() * grid_.depth);
      } else {
        for (int64_t tap = taps.begin; tap < taps.end; ++tap) {
          AddTo(sums, values, grid_.depth);
          values += grid_.depth;
          sums += step;
        }
      }
      patch += patch_row_;
      image += grid_.rows.rate * image_row_;
    }
  }

  const PatchGrid& grid_;
  const int64_t patch_row_;
  const int64_t patch_;
  const int64_t image_row_;
  const T* const patches_;
  T* const images_;
};

template <typename T>
void FoldPatches(const PatchGrid& grid, const void* patches, Range which,
                 void* images) {
  const Folder<T> folder(grid, static_cast<const T*>(patches),
                         static_cast<T*>(images));
  const int64_t rows = grid.rows.image;
  for (int64_t next = which.begin; next < which.end;) {
    const int64_t batch = next / rows;
    const int64_t end = std::min(which.end, (batch + 1) * rows);
    folder.FoldRows(batch, {next - batch * rows, end - batch * rows});
    next = end;
  }
}

}  // namespace

FoldFunction FoldPatchesOf(Number number) {
  switch (number) {
    case Number::kBFloat16:
      return FoldPatches<BFloat16>;
    case Number::kHalf:
      return FoldPatches<Half>;
    case Number::kFloat:
      return FoldPatches<float>;
    case Number::kDouble:
      return FoldPatches<double>;
    case Number::kComplexFloat:
      return FoldPatches<Complex<float>>;
    case Number::kComplexDouble:
      return FoldPatches<Complex<double>>;
    case Number::kInt8:
      return FoldPatches<uint8_t>;
    case Number::kInt16:
      return FoldPatches<uint16_t>;
    case Number::kInt32:
      return FoldPatches<uint32_t>;
    case Number::kInt64:
      return FoldPatches<uint64_t>;
  }
  return nullptr;
}

}  // namespace tf_patches
