// Folding image row by image row: each pixel's sum is made in a register, from
// the values that the patches over it hold.
#ifndef TF_PATCHES_KERNELS_FOLD_GATHER_H_
#define TF_PATCHES_KERNELS_FOLD_GATHER_H_

#include <algorithm>
#include <cstdint>
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

inline std::vector<Band> FindRuns(const Axis& axis, Range cols) {
  std::vector<Band> runs;
  for (int64_t col = cols.begin; col < cols.end; ++col) {
    const Cover cover = axis.Over(col);
    if (!runs.empty() && Continues(runs.back(), cover)) {
      ++runs.back().pixels;
    } else {
      runs.push_back({col, 1, 1, cover});
    }
  }
  return runs;
}

inline std::vector<Band> FindBands(const Axis& axis, Range cols) {
  std::vector<Band> bands;
  // The band that last had a run on each column, modulo the stride.
  std::vector<int64_t> last(std::min(axis.stride, cols.size()), -1);
  for (const Band& run : FindRuns(axis, cols)) {
    int64_t& previous = last[(run.col - cols.begin) % axis.stride];
    if (previous >= 0 && Repeats(bands[previous], run, axis.stride)) {
      ++bands[previous].repeats;
    } else {
      previous = static_cast<int64_t>(bands.size());
      bands.push_back(run);
    }
  }
  return bands;
}

template <typename T>
class Gatherer {
 public:
  Gatherer(const PatchGrid& grid, const Layout& layout, const T* patches,
           T* images)
      : grid_(grid),
        layout_(layout),
        streamed_(grid.image_rows() * Bytes(layout.image_row) >=
                      streamed_bytes &&
                  Bytes(layout.pixel) <= kStreamBufferBytes),
        patches_(patches),
        images_(images) {}

  void FoldRows(Range which) const {
    const int64_t tile = TileCols();
    for (int64_t begin = 0; begin < grid_.cols.image; begin += tile) {
      const Range cols = {begin, std::min(grid_.cols.image, begin + tile)};
      const std::vector<Band> bands = FindBands(grid_.cols, cols);
      if (streamed_) {
        StreamTile(which, cols, bands);
      } else {
        FoldTile(which, cols, bands);
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

  void FoldTile(Range rows, Range cols, const std::vector<Band>& bands) const {
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      FoldRow(row, cols, bands,
              images_ + row * layout_.image_row + cols.begin * layout_.pixel);
    }
  }

  void StreamTile(Range rows, Range cols,
                  const std::vector<Band>& bands) const {
    alignas(64) T buffer[kStreamBufferBytes / sizeof(T)];
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      FoldRow(row, cols, bands, buffer);
      StreamWriter writer(reinterpret_cast<char*>(
          images_ + row * layout_.image_row + cols.begin * layout_.pixel));
      writer.Append(reinterpret_cast<const char*>(buffer),
                    Bytes(cols.size() * layout_.pixel));
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

  // Makes the pixels `cols` of `row`, counted over all images.
  void FoldRow(int64_t row, Range cols, const std::vector<Band>& bands,
               T* dst) const {
    const int64_t batch = row / grid_.rows.image;
    const Cover lines = grid_.rows.Over(row % grid_.rows.image);
    const auto covered = [&](const Band& band) {
      return lines.count > 0 && band.cover.count > 0;
    };
    if (!std::all_of(bands.begin(), bands.end(), covered)) {
      std::fill_n(dst, cols.size() * layout_.pixel, T());
    }
    const T* const src =
        patches_ +
        (batch * grid_.rows.count + lines.index) * layout_.patch_line +
        lines.tap * layout_.patch_row;
    const Steps line_steps =
        StepsOver(lines, layout_.patch_line, layout_.patch_row);
    const int64_t ahead = Ahead(line_steps);
    for (const Band& band : bands) {
      if (!covered(band)) continue;
      const Cover& cover = band.cover;
      const Steps col_steps = StepsOver(cover, layout_.patch, layout_.pixel);
      SumRuns(src + cover.index * layout_.patch + cover.tap * layout_.pixel,
              line_steps, col_steps,
              dst + (band.col - cols.begin) * layout_.pixel,
              Runs{band.pixels * layout_.pixel, band.repeats,
                   grid_.cols.stride * layout_.pixel, layout_.patch, ahead});
    }
  }

  const PatchGrid& grid_;
  const Layout layout_;
  const bool streamed_;
  const T* const patches_;
  T* const images_;
};

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_FOLD_GATHER_H_
