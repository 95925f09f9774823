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

namespace tf_patches {

// Reads the patches from front to back, where the gatherer would take a few
// values at a time from each of many. 64x64 patches of 3 floats at stride 1
// take a tenth of the time, 16x16 at stride 10 two thirds.
template <typename T>
class Scatterer {
 public:
  Scatterer(const PatchGrid& grid, const Layout& layout)
      : grid_(grid), layout_(layout) {}

  // Whether patches overlap so that few adjacent pixels lie under the same
  // ones, while a patch is long enough to be worth adding as a whole: found by
  // trying.
  static bool Suits(const PatchGrid& grid, const Layout& layout) {
    const Axis& cols = grid.cols;
    if (cols.rate > 1 || cols.stride >= cols.patch) return false;
    const int64_t rest = cols.patch % cols.stride;
    const int64_t alike =
        rest == 0 ? cols.stride : std::min(rest, cols.stride - rest);
    return alike * layout.pixel <= 12 && layout.patch_row >= 16 &&
           (layout.patch_row >= 64 || layout.patch >= 256);
  }

  void operator()(const void* patches, Range which, void* images) const {
    const T* const src = static_cast<const T*>(patches);
    T* const dst = static_cast<T*>(images);
    std::fill_n(dst + which.begin * layout_.image_row,
                which.size() * layout_.image_row, T());
    const int64_t image_rows = grid_.rows.image;
    for (int64_t row = which.begin; row < which.end;) {
      const int64_t batch = row / image_rows;
      const int64_t end = std::min(which.end, (batch + 1) * image_rows);
      AddToImage(src + batch * grid_.rows.count * layout_.patch_line,
                 {row - batch * image_rows, end - batch * image_rows},
                 dst + batch * image_rows * layout_.image_row);
      row = end;
    }
  }

 private:
  // Bytes of the image that patches are added to before it goes on, so that
  // they stay in the cache.
  static constexpr int64_t kTileBytes = 256 << 10;

  static constexpr int64_t Bytes(int64_t numbers) {
    return numbers * static_cast<int64_t>(sizeof(T));
  }

  // Adds the patches of one image.
  void AddToImage(const T* patches, Range rows, T* image) const {
    const int64_t rows_at_once =
        std::min(rows.size(), grid_.rows.EffectiveSize());
    const int64_t tile =
        std::max(4 * grid_.cols.patch,
                 kTileBytes / (rows_at_once * Bytes(layout_.pixel)));
    for (int64_t begin = 0; begin < grid_.cols.image; begin += tile) {
      AddToTile(patches, rows,
                {begin, std::min(grid_.cols.image, begin + tile)}, image);
    }
  }

  void AddToTile(const T* patches, Range rows, Range cols, T* image) const {
    const Range down = grid_.rows.PatchesOver(rows);
    const Range across = grid_.cols.PatchesOver(cols);
    for (int64_t i = down.begin; i < down.end; ++i) {
      const Range taps = grid_.rows.TapsOn(i, rows);
      if (taps.empty()) continue;
      WithWidestVectors([&] {
        for (int64_t j = across.begin; j < across.end; ++j) {
          AddPatch(patches + i * layout_.patch_line + j * layout_.patch, i,
                   taps, j, grid_.cols.TapsOn(j, cols), image);
        }
      });
    }
  }

  // Adds the taps `down` and `across` of `patch`, `i`, `j` of the grid.
  void AddPatch(const T* patch, int64_t i, Range down, int64_t j, Range across,
                T* image) const {
    const T* src =
        patch + down.begin * layout_.patch_row + across.begin * layout_.pixel;
    const int64_t row = grid_.rows.Start(i) + down.begin * grid_.rows.rate;
    T* dst = image + row * layout_.image_row +
             (grid_.cols.Start(j) + across.begin) * layout_.pixel;
    const int64_t step =
        StepBetween(down.size(), grid_.rows.rate, layout_.image_row);
    for (int64_t tap = down.begin; tap < down.end; ++tap) {
      AddRun(src, across.size() * layout_.pixel, dst);
      src += layout_.patch_row;
      dst += step;
    }
  }

  const PatchGrid grid_;
  const Layout layout_;
};

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_FOLD_SCATTER_H_
