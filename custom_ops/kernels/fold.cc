#include "kernels/fold.h"

#include <algorithm>
#include <vector>

#include "kernels/number.h"
#include "kernels/stream_writer.h"
#include "kernels/sum.h"
#include "kernels/sum16.h"

namespace tf_patches {
namespace {

// Bytes of patches that a tile of an image is summed from, so that patches
// which several of its rows read are still in the cache.
constexpr int64_t kTileBytes = 256 << 10;

// Larger patches are long enough for the processor to foresee what comes.
constexpr int64_t kFetchedBytes = 512;

// Pixels of an image row that are summed alike: `repeats` runs of `pixels`
// adjacent ones, a stride apart, each under `cover.count` patches.
struct Band {
  int64_t col;
  int64_t pixels;
  int64_t repeats;
  Cover cover;
};

// Whether the run of pixels `a` goes on with the pixel that `cover` covers.
bool Continues(const Band& run, const Cover& cover) {
  if (run.cover.count != cover.count) return false;
  return cover.count == 0 || (run.cover.index == cover.index &&
                              run.cover.tap + run.pixels == cover.tap);
}

// Whether `run` is what `band` does one stride further on.
bool Repeats(const Band& band, const Band& run, int64_t stride) {
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
Steps StepsOver(const Cover& cover, int64_t patch, int64_t tap) {
  if (cover.count <= 1) return {cover.count, 0};
  return {cover.count, cover.index_step * patch - cover.tap_step * tap};
}

std::vector<Band> FindRuns(const Axis& axis, Range cols) {
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

std::vector<Band> FindBands(const Axis& axis, Range cols) {
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
class Folder {
 public:
  // `values` numbers of type T make up a pixel's depth.
  Folder(const PatchGrid& grid, int64_t values, const T* patches, T* images)
      : grid_(grid),
        pixel_(values),
        image_row_(grid.cols.image * pixel_),
        patch_row_(grid.cols.patch * pixel_),
        patch_(grid.rows.patch * patch_row_),
        line_(grid.cols.count * patch_),
        streamed_(grid.image_rows() * Bytes(image_row_) >= kStreamedBytes &&
                  Bytes(pixel_) <= kStreamBufferBytes),
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
    return std::min(cached, kStreamBufferBytes / Bytes(pixel_));
  }

  // Rows of patches shorter than a cache line are read again by every image row
  // that their patches cover.
  int64_t CachedCols() const {
    if (Bytes(patch_row_) >= 64) return grid_.cols.image;
    const int64_t lines = grid_.rows.EffectiveSize() / grid_.rows.stride + 1;
    const int64_t patches = kTileBytes / (lines * Bytes(patch_));
    return std::max<int64_t>(64, patches) * grid_.cols.stride;
  }

  void FoldTile(Range rows, Range cols, const std::vector<Band>& bands) const {
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      FoldRow(row, cols, bands,
              images_ + row * image_row_ + cols.begin * pixel_);
    }
  }

  void StreamTile(Range rows, Range cols,
                  const std::vector<Band>& bands) const {
    alignas(64) T buffer[kStreamBufferBytes / sizeof(T)];
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      FoldRow(row, cols, bands, buffer);
      StreamWriter writer(reinterpret_cast<char*>(images_ + row * image_row_ +
                                                  cols.begin * pixel_));
      writer.Append(reinterpret_cast<const char*>(buffer),
                    Bytes(cols.size() * pixel_));
      writer.Finish();
    }
  }

  // At stride 1 each image row is the first to read a row of small patches,
  // which processors do not foresee: fetching the next row's takes up to half
  // off.
  int64_t Ahead(Steps lines) const {
    if (grid_.rows.stride > 1 || Bytes(patch_) > kFetchedBytes) return 0;
    return (lines.count - 1) * lines.step + line_;
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
      std::fill_n(dst, cols.size() * pixel_, T());
    }
    const T* const src = patches_ +
                         (batch * grid_.rows.count + lines.index) * line_ +
                         lines.tap * patch_row_;
    const Steps line_steps = StepsOver(lines, line_, patch_row_);
    const int64_t ahead = Ahead(line_steps);
    for (const Band& band : bands) {
      if (!covered(band)) continue;
      const Cover& cover = band.cover;
      const Steps col_steps = StepsOver(cover, patch_, pixel_);
      SumRuns(src + cover.index * patch_ + cover.tap * pixel_, line_steps,
              col_steps, dst + (band.col - cols.begin) * pixel_,
              Runs{band.pixels * pixel_, band.repeats,
                   grid_.cols.stride * pixel_, patch_, ahead});
    }
  }

  const PatchGrid& grid_;
  const int64_t pixel_;
  const int64_t image_row_;
  const int64_t patch_row_;
  const int64_t patch_;
  const int64_t line_;
  const bool streamed_;
  const T* const patches_;
  T* const images_;
};

// `kValues` numbers of type T make up one element: two for a complex number.
template <typename T, int kValues = 1>
void FoldPatches(const PatchGrid& grid, const void* patches, Range which,
                 void* images) {
  const Folder<T> folder(grid, grid.depth * kValues,
                         static_cast<const T*>(patches),
                         static_cast<T*>(images));
  folder.FoldRows(which);
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
      return FoldPatches<float, 2>;
    case Number::kComplexDouble:
      return FoldPatches<double, 2>;
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
