// Folding patch by patch: each is added to what the image holds so far.
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

// Reads the patches from front to back, where the gatherer would take a few
// values at a time from each of many. 64x64 patches of 3 floats at stride 1
// take a tenth of the time, 16x16 at stride 10 two thirds.
template <typename T>
class Scatterer {
 public:
  Scatterer(const PatchGrid& grid, const Layout& layout)
      : grid_(grid),
        layout_(layout),
        tiles_(grid.cols().image, TileCols(grid, layout)) {}

  // Whether patches overlap so that few adjacent pixels lie under the same
  // ones, while a patch is long enough to be worth adding as a whole: found by
  // trying.
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
  // Bytes of the image that patches are added to before it goes on, so that
  // they stay in the cache.
  static constexpr int64_t kTileBytes = 256 << 10;

  // Rows of a patch that are added at once, as many as a list of them on the
  // stack may hold.
  static constexpr int64_t kMostRows = 256;

  // A row of a patch, and the row of the image that it is added to.
  struct Row {
    int64_t src;
    int64_t dst;
  };

  struct Rows {
    Row list[kMostRows];
    int64_t count;
  };

  static int64_t TileCols(const PatchGrid& grid, const Layout& layout) {
    const auto reach = [](const Axis& axis) {
      return std::min(axis.image, axis.EffectiveSize());
    };
    const int64_t rows = reach(grid.planes()) * reach(grid.rows());
    const int64_t row_bytes = rows * layout.pixel * sizeof(T);
    return std::max(4 * grid.cols().patch, kTileBytes / row_bytes);
  }

  // Calls `use` with the patches of an axis that may see pixels of `pixels`.
  template <typename Use>
  static void ForEachPatchOver(const Axis& axis, Range pixels, const Use& use) {
    const auto use_all = [&use](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) use(i);
    };
    const Range over = axis.PatchesOver(pixels);
    if (axis.border == Border::kConstant) return use_all(over.begin, over.end);
    // Those that reach outside may see pixels from anywhere.
    const Range inside = axis.Inside();
    use_all(0, inside.begin);
    use_all(std::max(over.begin, inside.begin), std::min(over.end, inside.end));
    use_all(inside.end, axis.count);
  }

  // Makes the pixels `rows` by `cols` of one image; rows are counted over its
  // planes.
  void FoldTile(const T* patches, Range rows, Range cols, T* image) const {
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      std::fill_n(image + row * layout_.image_row + cols.begin * layout_.pixel,
                  cols.size() * layout_.pixel, T());
    }
    const Axis& down = grid_.rows();
    const int64_t height = down.image;
    const Range planes = {rows.begin / height, (rows.end - 1) / height + 1};
    Range lines = {0, height};
    if (planes.size() == 1) {
      const int64_t before = planes.begin * height;
      lines = {rows.begin - before, rows.end - before};
    }
    const Axis& up = grid_.planes();
    ForEachPatchOver(up, planes, [&](int64_t p) {
      const int64_t at_once = SeesNothingTwice(up, p) ? up.patch : 1;
      for (int64_t tap = 0; tap < up.patch; tap += at_once) {
        const Range taps = {tap * down.patch, (tap + at_once) * down.patch};
        ForEachPatchOver(down, lines, [&](int64_t i) {
          AddLine(patches + (p * down.count + i) * layout_.patch_line, p, i,
                  taps, rows, cols, image);
        });
      }
    });
  }

  // Whether no two taps of a patch see the same pixel, beyond the border. Of
  // two that do, the first is added for all the patches after it, before the
  // second is.
  static bool SeesNothingTwice(const Axis& axis, int64_t index) {
    return axis.border == Border::kConstant || axis.Inside().Holds(index);
  }

  // Adds the rows `taps` of a line of patches: row `i` of plane `p` of the
  // grid.
  void AddLine(const T* line, int64_t p, int64_t i, Range taps, Range rows,
               Range cols, T* image) const {
    const int64_t at_once = SeesNothingTwice(grid_.rows(), i) ? kMostRows : 1;
    for (int64_t tap = taps.begin; tap < taps.end; tap += at_once) {
      Rows list;
      FindRows(p, i, {tap, std::min(tap + at_once, taps.end)}, rows, &list);
      if (list.count == 0) continue;
      WithWidestVectors([&] {
        ForEachPatchOver(grid_.cols(), cols, [&](int64_t j) {
          AddPatch(line + j * layout_.patch, j, list, cols, image);
        });
      });
    }
  }

  // Lists which of the rows `taps` of a patch are added to rows of `rows`.
  void FindRows(int64_t p, int64_t i, Range taps, Range rows,
                Rows* list) const {
    const Axis& up = grid_.planes();
    const Axis& down = grid_.rows();
    list->count = 0;
    for (int64_t tap = taps.begin; tap < taps.end; ++tap) {
      const int64_t plane = up.Source(up.Pixel(p, tap / down.patch));
      const int64_t row = down.Source(down.Pixel(i, tap % down.patch));
      const int64_t at = plane * down.image + row;
      if (plane < 0 || row < 0 || !rows.Holds(at)) continue;
      list->list[list->count++] = {tap * layout_.patch_row,
                                   at * layout_.image_row};
    }
  }

  // Adds what patch `j` of a line holds for the pixels `cols`.
  void AddPatch(const T* patch, int64_t j, const Rows& rows, Range cols,
                T* image) const {
    const Axis& across = grid_.cols();
    const Range taps = across.TapsOn(j, cols);
    const int64_t start = across.Start(j);
    const bool is_solid = SeesNothingTwice(across, j);
    for (int64_t n = 0; n < rows.count; ++n) {
      const T* const src = patch + rows.list[n].src;
      T* const dst = image + rows.list[n].dst;
      if (!is_solid) {
        AddTaps(src, j, {0, across.patch}, cols, dst);
      } else if (!taps.empty()) {
        AddRun(src + taps.begin * layout_.pixel, taps.size() * layout_.pixel,
               dst + (start + taps.begin) * layout_.pixel);
      }
    }
  }

  // Adds tap by tap, as some lie beyond the border.
  void AddTaps(const T* src, int64_t j, Range taps, Range cols, T* dst) const {
    const Axis& across = grid_.cols();
    for (int64_t tap = taps.begin; tap < taps.end; ++tap) {
      const int64_t col = across.Source(across.Pixel(j, tap));
      if (!cols.Holds(col)) continue;
      AddRun(src + tap * layout_.pixel, layout_.pixel,
             dst + col * layout_.pixel);
    }
  }

  const PatchGrid grid_;
  const Layout layout_;
  const Tiles tiles_;
};

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_FOLD_SCATTER_H_
