// Folds image row by image row. The sum of each pixel is made in a register,
// from the values of the patches over the pixel.
#ifndef TF_PATCHES_KERNELS_FOLD_GATHER_H_
#define TF_PATCHES_KERNELS_FOLD_GATHER_H_

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "geometry/patch_grid.h"
#include "kernels/bands.h"
#include "kernels/layout.h"
#include "kernels/row_sums.h"
#include "kernels/stream_writer.h"
#include "kernels/sum.h"
#include "kernels/sum16.h"
#include "kernels/tiles.h"

namespace tf_patches {

template <typename T>
class Gatherer {
 public:
  Gatherer(const PatchGrid& grid, const Layout& layout)
      : grid_(grid),
        layout_(layout),
        row_sums_(grid, layout),
        is_streamed_(grid.image_rows() * Bytes(layout.image_row) >=
                         streamed_bytes &&
                     Bytes(layout.pixel) <= kStreamBufferBytes),
        tiles_(grid.cols().image, TileCols()) {
    for (int64_t tile = 0; tile < tiles_.count(); ++tile) {
      sums_.push_back(PlanTile(tiles_.Cols(tile)));
    }
  }

  int64_t units() const { return grid_.image_rows() * tiles_.count(); }

  void operator()(const void* patches, Range which, void* images) const {
    const T* const src = static_cast<const T*>(patches);
    T* const dst = static_cast<T*>(images);
    tiles_.ForEach(which, [&](int64_t tile, Range rows) {
      if (is_streamed_) {
        StreamTile(src, rows, tile, dst);
      } else {
        FoldTile(src, rows, tile, dst);
      }
    });
    if (is_streamed_) StreamWriter::Publish();
  }

 private:
  // Bytes of patches for a tile of an image. Patches that several rows of the
  // tile read stay in the cache.
  static constexpr int64_t kTileBytes = 256 << 10;

  // A tile may need a band of memory for every few columns.
  static constexpr int64_t kMostTileCols = 8192;

  // Larger patches are long enough for the processor to prefetch them itself.
  static constexpr int64_t kFetchedBytes = 2048;

  // `repeats` runs of pixels of a tile, and where the rows of patches that are
  // added hold their values.
  struct Sums {
    int64_t col;
    int64_t pixels;
    int64_t repeats;
    OffsetList taps;
  };

  static constexpr int64_t Bytes(int64_t elements) {
    return elements * static_cast<int64_t>(sizeof(T));
  }

  int64_t TileCols() const {
    const int64_t cached = CachedCols();
    if (!is_streamed_) return cached;
    return std::min(cached, kStreamBufferBytes / Bytes(layout_.pixel));
  }

  // Every image row under a patch reads rows of patches that are shorter than a
  // cache line again.
  int64_t CachedCols() const {
    if (Bytes(layout_.patch_row) >= 64) return kMostTileCols;
    const Axis& up = grid_.planes();
    const Axis& down = grid_.rows();
    const int64_t lines = ((up.EffectiveSize() - 1) / up.stride + 1) *
                          (down.EffectiveSize() / down.stride + 1);
    const int64_t patches = kTileBytes / lines / Bytes(layout_.patch);
    return std::min(std::max<int64_t>(64, patches) * grid_.cols().stride,
                    kMostTileCols);
  }

  std::vector<Sums> PlanTile(Range cols) const {
    std::vector<Sums> tile;
    for (const Band& band : FindBands(grid_.cols(), cols)) {
      std::vector<int64_t> taps;
      for (const Tap& tap : band.taps) {
        taps.push_back(tap.index * layout_.patch + tap.tap * layout_.pixel);
      }
      tile.push_back({band.col - cols.begin, band.pixels, band.repeats,
                      OffsetList(std::move(taps))});
    }
    return tile;
  }

  T* At(T* images, int64_t row, int64_t tile) const {
    return images + row * layout_.image_row +
           tiles_.Cols(tile).begin * layout_.pixel;
  }

  void FoldTile(const T* patches, Range rows, int64_t tile, T* images) const {
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      FoldRow(patches, row, tile, At(images, row, tile));
    }
  }

  void StreamTile(const T* patches, Range rows, int64_t tile, T* images) const {
    alignas(64) T buffer[kStreamBufferBytes / sizeof(T)];
    const int64_t bytes = Bytes(tiles_.Cols(tile).size() * layout_.pixel);
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      FoldRow(patches, row, tile, buffer);
      StreamWriter writer(reinterpret_cast<char*>(At(images, row, tile)));
      writer.Append(reinterpret_cast<const char*>(buffer), bytes);
      writer.Finish();
    }
  }

  // At stride 1 each image row is the first to read a row of small patches, and
  // processors do not prefetch it. Prefetching the values of the next row saves
  // up to half of the time.
  int64_t Ahead(Offsets rows) const {
    if (grid_.rows().stride > 1 || Bytes(layout_.patch) > kFetchedBytes) {
      return 0;
    }
    return rows.at[rows.count - 1] + layout_.patch_line;
  }

  // Makes the pixels of a tile of `row`, counted over all images.
  void FoldRow(const T* patches, int64_t row, int64_t tile, T* dst) const {
    const int64_t rows = grid_.rows().image;
    const int64_t planes = grid_.planes().image;
    const auto [first, outer] = row_sums_.Of(row / rows % planes, row % rows);
    const int64_t lines = grid_.planes().count * grid_.rows().count;
    const T* const src =
        patches + row / rows / planes * lines * layout_.patch_line + first;
    const auto is_zero = [&, count = outer.count](const Sums& sums) {
      return count == 0 || sums.taps.at.empty();
    };
    const std::vector<Sums>& all = sums_[tile];
    if (std::any_of(all.begin(), all.end(), is_zero)) {
      std::fill_n(dst, tiles_.Cols(tile).size() * layout_.pixel, T());
    }
    if (outer.count == 0) return;
    const int64_t ahead = Ahead(outer);
    for (const Sums& sums : all) {
      if (is_zero(sums)) continue;
      SumRuns(src + sums.taps.first, outer, sums.taps.offsets(),
              dst + sums.col * layout_.pixel,
              Runs{sums.pixels * layout_.pixel, sums.repeats,
                   grid_.cols().stride * layout_.pixel, layout_.patch, ahead});
    }
  }

  const PatchGrid grid_;
  const Layout layout_;
  const RowSums row_sums_;
  const bool is_streamed_;
  const Tiles tiles_;
  std::vector<std::vector<Sums>> sums_;  // of each tile
};

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_FOLD_GATHER_H_
