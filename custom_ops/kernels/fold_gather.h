// Folding image row by image row: each pixel's sum is made in a register, from
// the values that the patches over it hold.
#ifndef TF_PATCHES_KERNELS_FOLD_GATHER_H_
#define TF_PATCHES_KERNELS_FOLD_GATHER_H_

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "geometry/patch_grid.h"
#include "kernels/layout.h"
#include "kernels/stream_writer.h"
#include "kernels/sum.h"
#include "kernels/sum16.h"

namespace tf_patches {

// Bytes of patches that a tile of an image is summed from, so that patches
// which several of its rows read are still in the cache.
inline constexpr int64_t kTileBytes = 256 << 10;

// A tile takes a band of memory for a column or a few.
inline constexpr int64_t kMostTileCols = 8192;

// Larger patches are long enough for the processor to foresee what comes.
inline constexpr int64_t kFetchedBytes = 2048;

// Pixels of an image row that are summed alike: `repeats` runs of `pixels`
// adjacent ones, a stride apart, each under `cover.count` patches.
struct Band {
  int64_t col;
  int64_t pixels;
  int64_t repeats;
  Cover cover;
};

// Whether the run of pixels `a` goes on with the pixel that `cover` covers.
inline bool Continues(const Band& run, const Cover& cover) {
  if (run.cover.count != cover.count) return false;
  return cover.count == 0 || (run.cover.index == cover.index &&
                              run.cover.tap + run.pixels == cover.tap);
}

// Whether `run` is what `band` does one stride further on.
inline bool Repeats(const Band& band, const Band& run, int64_t stride) {
  if (band.pixels != run.pixels || band.cover.count != run.cover.count ||
      band.col + band.repeats * stride != run.col) {
    return false;
  }
  return band.cover.count == 0 ||
         (band.cover.tap == run.cover.tap &&
          band.cover.index + band.repeats == run.cover.index);
}

// From one patch over a pixel to the next, where patches are `patch` elements
// apart and their taps `tap`. The steps of a single patch may be out of reach.
inline Steps StepsOver(const Cover& cover, int64_t patch, int64_t tap) {
  if (cover.count <= 1) return {cover.count, 0};
  return {cover.count, cover.index_step * patch - cover.tap_step * tap};
}

// The longest run of `cols` that begins at the first.
inline Band FindRun(const Axis& axis, Range cols) {
  Band run = {cols.begin, 1, 1, axis.Over(cols.begin)};
  while (run.col + run.pixels < cols.end &&
         Continues(run, axis.Over(run.col + run.pixels))) {
    ++run.pixels;
  }
  return run;
}

// Finds the bands of `cols` of an axis, from left to right.
class BandFinder {
 public:
  BandFinder(const Axis& axis, Range cols)
      : axis_(axis),
        cols_(cols),
        last_(std::min(axis.stride, cols.size()), -1) {}

  std::vector<Band> Find() && {
    const Range even = axis_.Even();
    for (int64_t col = cols_.begin; col < cols_.end;) {
      // A run that begins one column later than the runs begin to repeat is
      // followed by another a stride further on.
      const int64_t strides =
          col > even.begin
              ? (std::min(even.end, cols_.end) - col) / axis_.stride
              : 0;
      if (strides < 2) {
        const Band run = FindRun(axis_, {col, cols_.end});
        Add(run);
        col += run.pixels;
        continue;
      }
      const int64_t next = col + axis_.stride;
      while (col < next) {
        Band run = FindRun(axis_, {col, next});
        run.repeats = strides;
        Add(run);
        col += run.pixels;
      }
      col += (strides - 1) * axis_.stride;
    }
    return std::move(bands_);
  }

 private:
  void Add(const Band& run) {
    int64_t& last = last_[(run.col - cols_.begin) % axis_.stride];
    if (last >= 0 && Repeats(bands_[last], run, axis_.stride)) {
      bands_[last].repeats += run.repeats;
    } else {
      last = static_cast<int64_t>(bands_.size());
      bands_.push_back(run);
    }
  }

  const Axis& axis_;
  const Range cols_;
  std::vector<Band> bands_;
  // The band that last had a run on each column, modulo the stride.
  std::vector<int64_t> last_;
};

// Columns of the image that are folded in one go.
struct Tile {
  Range cols;
  std::vector<Band> bands;
};

template <typename T>
class Gatherer {
 public:
  Gatherer(const PatchGrid& grid, const Layout& layout)
      : grid_(grid),
        layout_(layout),
        streamed_(grid.image_rows() * Bytes(layout.image_row) >=
                      streamed_bytes &&
                  Bytes(layout.pixel) <= kStreamBufferBytes) {
    const int64_t tile = TileCols();
    for (int64_t begin = 0; begin < grid_.cols.image; begin += tile) {
      const Range cols = {begin, std::min(grid_.cols.image, begin + tile)};
      tiles_.push_back({cols, BandFinder(grid_.cols, cols).Find()});
    }
  }

  void operator()(const void* patches, Range which, void* images) const {
    const T* const src = static_cast<const T*>(patches);
    T* const dst = static_cast<T*>(images);
    for (const Tile& tile : tiles_) {
      if (streamed_) {
        StreamTile(src, which, tile, dst);
      } else {
        FoldTile(src, which, tile, dst);
      }
    }
    if (streamed_) StreamWriter::Publish();
  }

 private:
  static constexpr int64_t Bytes(int64_t elements) {
    return elements * static_cast<int64_t>(sizeof(T));
  }

  int64_t TileCols() const {
    const int64_t cached = CachedCols();
    if (!streamed_) return cached;
    return std::min(cached, kStreamBufferBytes / Bytes(layout_.pixel));
  }

  // Rows of patches shorter than a cache line are read again by every image row
  // that their patches cover.
  int64_t CachedCols() const {
    if (Bytes(layout_.patch_row) >= 64) return kMostTileCols;
    const int64_t lines = grid_.rows.EffectiveSize() / grid_.rows.stride + 1;
    const int64_t patches = kTileBytes / lines / Bytes(layout_.patch);
    return std::min(std::max<int64_t>(64, patches) * grid_.cols.stride,
                    kMostTileCols);
  }

  void FoldTile(const T* patches, Range rows, const Tile& tile,
                T* images) const {
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      FoldRow(
          patches, row, tile,
          images + row * layout_.image_row + tile.cols.begin * layout_.pixel);
    }
  }

  void StreamTile(const T* patches, Range rows, const Tile& tile,
                  T* images) const {
    alignas(64) T buffer[kStreamBufferBytes / sizeof(T)];
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      FoldRow(patches, row, tile, buffer);
      StreamWriter writer(reinterpret_cast<char*>(
          images + row * layout_.image_row + tile.cols.begin * layout_.pixel));
      writer.Append(reinterpret_cast<const char*>(buffer),
                    Bytes(tile.cols.size() * layout_.pixel));
      writer.Finish();
    }
  }

  // At stride 1 each image row is the first to read a row of small patches,
  // which processors do not foresee: fetching the next row's takes up to half
  // off.
  int64_t Ahead(Steps lines) const {
    if (grid_.rows.stride > 1 || Bytes(layout_.patch) > kFetchedBytes) return 0;
    return (lines.count - 1) * lines.step + layout_.patch_line;
  }

  // Makes the pixels of a tile of `row`, counted over all images.
  void FoldRow(const T* patches, int64_t row, const Tile& tile, T* dst) const {
    const int64_t batch = row / grid_.rows.image;
    const Cover lines = grid_.rows.Over(row % grid_.rows.image);
    const auto covered = [&](const Band& band) {
      return lines.count > 0 && band.cover.count > 0;
    };
    if (!std::all_of(tile.bands.begin(), tile.bands.end(), covered)) {
      std::fill_n(dst, tile.cols.size() * layout_.pixel, T());
    }
    const T* const src =
        patches +
        (batch * grid_.rows.count + lines.index) * layout_.patch_line +
        lines.tap * layout_.patch_row;
    const Steps line_steps =
        StepsOver(lines, layout_.patch_line, layout_.patch_row);
    const int64_t ahead = Ahead(line_steps);
    for (const Band& band : tile.bands) {
      if (!covered(band)) continue;
      const Cover& cover = band.cover;
      const Steps col_steps = StepsOver(cover, layout_.patch, layout_.pixel);
      SumRuns(src + cover.index * layout_.patch + cover.tap * layout_.pixel,
              line_steps, col_steps,
              dst + (band.col - tile.cols.begin) * layout_.pixel,
              Runs{band.pixels * layout_.pixel, band.repeats,
                   grid_.cols.stride * layout_.pixel, layout_.patch, ahead});
    }
  }

  const PatchGrid grid_;
  const Layout layout_;
  const bool streamed_;
  std::vector<Tile> tiles_;
};

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_FOLD_GATHER_H_
