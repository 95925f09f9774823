// Folds patch by patch: adds each patch to the image.
#ifndef TF_PATCHES_KERNELS_FOLD_SCATTER_H_
#define TF_PATCHES_KERNELS_FOLD_SCATTER_H_

#include <algorithm>
#include <cstdint>

#include "geometry/patch_grid.h"
#include "kernels/instructions.h"
#include "kernels/layout.h"
#include "kernels/sum.h"
#include "kernels/sum16.h"
#include "kernels/tiles.h"

namespace tf_patches {

// Reads the patches from front to back, while the gatherer reads a few values
// from each of many patches. 64x64 patches of 3 floats at stride 1 take a tenth
// of the time, 16x16 at stride 10 two thirds.
template <typename T>
class Scatterer {
 public:
  Scatterer(const PatchGrid& grid, const Layout& layout)
      : grid_(grid),
        layout_(layout),
        tiles_(grid.cols().image, TileCols(grid, layout)) {}

  // Whether few adjacent pixels lie under the same patches, and a patch is long
  // enough to be added as a whole. The limits were found by trying.
  static bool Suits(const PatchGrid& grid, const Layout& layout) {
    const Axis& cols = grid.cols();
    if (cols.rate > 1 || cols.stride >= cols.patch) return false;
    const int64_t rest = cols.patch % cols.stride;
    const int64_t alike =
        rest == 0 ? cols.stride : std::min(rest, cols.stride - rest);
    return alike * layout.pixel <= 12 && layout.patch_row >= 16 &&
           (layout.patch_row >= 64 || layout.patch >= 256);
  }

  int64_t units() const { return grid_.image_rows() * tiles_.count(); }

  void operator()(const void* patches, Range which, void* images) const {
    const T* const src = static_cast<const T*>(patches);
    T* const dst = static_cast<T*>(images);
    const int64_t image_rows = grid_.image_rows() / grid_.batch;
    const int64_t lines = grid_.planes().count * grid_.rows().count;
    tiles_.ForEach(which, [&](int64_t tile, Range rows) {
      const Range cols = tiles_.Cols(tile);
      for (int64_t row = rows.begin; row < rows.end;) {
        const int64_t batch = row / image_rows;
        const int64_t end = std::min(rows.end, (batch + 1) * image_rows);
        FoldTile(src + batch * lines * layout_.patch_line,
                 {row - batch * image_rows, end - batch * image_rows}, cols,
                 dst + batch * image_rows * layout_.image_row);
        row = end;
      }
    });
  }

 private:
  // Bytes of a tile of the image, which stay in the cache while patches are
  // added.
  static constexpr int64_t kTileBytes = 256 << 10;

  // Rows of patches of one line, and the rows of the image that they are added
  // to.
  struct Rows {
    int64_t src;
    int64_t dst;
    int64_t count;
    int64_t dst_step;
  };

  static int64_t TileCols(const PatchGrid& grid, const Layout& layout) {
    const auto reach = [](const Axis& axis) {
      return std::min(axis.image, axis.EffectiveSize());
    };
    const int64_t rows = reach(grid.planes()) * reach(grid.rows());
    const int64_t row_bytes = rows * layout.pixel * sizeof(T);
    return std::max(4 * grid.cols().patch, kTileBytes / row_bytes);
  }

  // Calls `use` with the patches of an axis that may show pixels of `pixels`.
  template <typename Use>
  static void ForEachPatchOver(const Axis& axis, Range pixels, const Use& use) {
    const auto use_all = [&use](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) use(i);
    };
    const Range over = axis.PatchesOver(pixels);
    if (axis.border == Border::kConstant) return use_all(over.begin, over.end);
    // Patches that reach outside may show any pixel.
    const Range inside = axis.Inside();
    use_all(0, inside.begin);
    use_all(std::max(over.begin, inside.begin), std::min(over.end, inside.end));
    use_all(inside.end, axis.count);
  }

  // Makes the pixels `rows` by `cols` of one image; rows are counted over its
  // planes.
  void FoldTile(const T* patches, Range rows, Range cols, T* image) const {
    FillWithZeros(rows, cols, image);
    const Axis& up = grid_.planes();
    const int64_t height = grid_.rows().image;
    const Range planes = {rows.begin / height, (rows.end - 1) / height + 1};
    ForEachPatchOver(up, planes, [&](int64_t p) {
      for (int64_t tap = 0; tap < up.patch; ++tap) {
        const int64_t plane = up.Source(up.Pixel(p, tap));
        if (!planes.Holds(plane)) continue;
        const int64_t first = plane * height;
        AddToPlane(patches + p * grid_.rows().count * layout_.patch_line +
                       tap * grid_.rows().patch * layout_.patch_row,
                   {std::max<int64_t>(0, rows.begin - first),
                    std::min(height, rows.end - first)},
                   cols, image + first * layout_.image_row);
      }
    });
  }

  void FillWithZeros(Range rows, Range cols, T* image) const {
    const int64_t width = cols.size() * layout_.pixel;
    T* row =
        image + rows.begin * layout_.image_row + cols.begin * layout_.pixel;
    if (width == layout_.image_row) {
      std::fill_n(row, rows.size() * width, T());
      return;
    }
    for (int64_t n = rows.size(); n > 0; --n, row += layout_.image_row) {
      std::fill_n(row, width, T());
    }
  }

  // Whether no two taps of a patch show the same pixel beyond the border. If
  // two do, the first is added for all patches before the second.
  static bool SeesNothingTwice(const Axis& axis, int64_t index) {
    return axis.border == Border::kConstant || axis.Inside().Holds(index);
  }

  // Adds a plane of a plane of patches.
  void AddToPlane(const T* patches, Range rows, Range cols, T* plane) const {
    const Axis& down = grid_.rows();
    ForEachPatchOver(down, rows, [&](int64_t i) {
      const T* const line = patches + i * layout_.patch_line;
      if (SeesNothingTwice(down, i)) {
        return AddRows(line, i, down.TapsOn(i, rows), cols, plane);
      }
      for (int64_t tap = 0; tap < down.patch; ++tap) {
        if (!rows.Holds(down.Source(down.Pixel(i, tap)))) continue;
        AddRows(line, i, {tap, tap + 1}, cols, plane);
      }
    });
  }

  // Adds the rows `taps` of line `i` of patches.
  void AddRows(const T* line, int64_t i, Range taps, Range cols,
               T* plane) const {
    if (taps.empty()) return;
    const Axis& down = grid_.rows();
    const Rows rows = {
        taps.begin * layout_.patch_row,
        down.Source(down.Pixel(i, taps.begin)) * layout_.image_row, taps.size(),
        StepBetween(taps.size(), down.rate, layout_.image_row)};
    WithWidestVectors([&](auto) {
      ForEachPatchOver(grid_.cols(), cols, [&](int64_t j) {
        AddPatch(line + j * layout_.patch, j, rows, cols, plane);
      });
    });
  }

  // Adds what patch `j` of a line holds for the pixels `cols`.
  void AddPatch(const T* patch, int64_t j, const Rows& rows, Range cols,
                T* plane) const {
    const Axis& across = grid_.cols();
    if (SeesNothingTwice(across, j)) {
      const Range taps = across.TapsOn(j, cols);
      return AddTaps(patch, rows, taps, across.Start(j) + taps.begin, plane);
    }
    for (int64_t tap = 0; tap < across.patch; ++tap) {
      const int64_t col = across.Source(across.Pixel(j, tap));
      if (cols.Holds(col)) AddTaps(patch, rows, {tap, tap + 1}, col, plane);
    }
  }

  // Adds the taps `taps` of rows of a patch to the pixels from `col` on.
  void AddTaps(const T* patch, const Rows& rows, Range taps, int64_t col,
               T* plane) const {
    if (taps.empty()) return;
    const T* src = patch + rows.src + taps.begin * layout_.pixel;
    T* dst = plane + rows.dst + col * layout_.pixel;
    for (int64_t n = rows.count; n > 0; --n) {
      AddRun(src, taps.size() * layout_.pixel, dst);
      src += layout_.patch_row;
      dst += rows.dst_step;
    }
  }

  const PatchGrid grid_;
  const Layout layout_;
  const Tiles tiles_;
};

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_FOLD_SCATTER_H_
