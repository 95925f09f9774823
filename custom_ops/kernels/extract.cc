#include "kernels/extract.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <type_traits>

#include "kernels/instructions.h"
#include "kernels/layout.h"
#include "kernels/piece_copy.h"
#include "kernels/shuffle_plan.h"
#include "kernels/stream_writer.h"
#include "kernels/transpose.h"

namespace tf_patches {
namespace {

struct Loop {
  int64_t count;
  int64_t step;  // bytes between turns, in the image
};

Loop Spaced(int64_t count, int64_t apart, int64_t unit) {
  return {count, StepBetween(count, apart, unit)};
}

// A row of patches whose columns all lie in the image, as pieces of `length`
// bytes: scattered over the image by nested loops, side by side in the patches
// except for the zeros `above` and `below` each patch.
struct Pieces {
  Loop patches;
  Loop outer;
  Loop inner;
  int64_t length;
  int64_t above;
  int64_t below;

  int64_t patch_bytes() const {
    return above + outer.count * inner.count * length + below;
  }
  // Bytes from the start of a patch's first piece to the start of its last.
  int64_t span() const {
    return (outer.count - 1) * outer.step + (inner.count - 1) * inner.step;
  }
};

char* Zero(char* dst, int64_t bytes) {
  if (bytes > 0) std::memset(dst, 0, bytes);
  return dst + bytes;
}

// Copies `count` pieces that are `step` apart; a constant count unrolls.
template <int kCount, typename Copy>
char* CopyLine(const Copy& copy, int64_t length, Loop line, const char* src,
               char* dst) {
  const int64_t count = kCount > 0 ? kCount : line.count;
  for (int64_t i = 0; i < count; ++i) {
    copy(dst, src);
    dst += length;
    src += line.step;
  }
  return dst;
}

// `kSolid` patches are one line of pieces, with no zeros above or below. The
// pieces come by value, since no store can change a local copy.
template <int kInner, bool kSolid, typename Copy>
void CopyPatches(const Pieces pieces, const Copy& copy, Range which,
                 const char* src, char* dst) {
  dst += which.begin * pieces.patch_bytes();
  src += which.begin * pieces.patches.step;
  for (int64_t n = which.size(); n > 0; --n, src += pieces.patches.step) {
    if constexpr (kSolid) {
      dst = CopyLine<kInner>(copy, pieces.length, pieces.inner, src, dst);
    } else {
      dst = Zero(dst, pieces.above);
      const char* line = src;
      for (int64_t i = pieces.outer.count; i > 0; --i) {
        dst = CopyLine<kInner>(copy, pieces.length, pieces.inner, line, dst);
        line += pieces.outer.step;
      }
      dst = Zero(dst, pieces.below);
    }
  }
}

template <int kInner, typename Copy>
void CopyPatches(const Pieces pieces, const Copy& copy, Range which,
                 const char* src, char* dst) {
  if (pieces.outer.count == 1 && pieces.above == 0 && pieces.below == 0) {
    return CopyPatches<kInner, true>(pieces, copy, which, src, dst);
  }
  return CopyPatches<kInner, false>(pieces, copy, which, src, dst);
}

// Without its loop, a patch of a few short pieces takes a quarter of the time.
template <typename Copy>
void CopyFewPieces(const Pieces& pieces, const Copy& copy, Range which,
                   const char* src, char* dst) {
  switch (pieces.inner.count) {
    case 1:
      return CopyPatches<1>(pieces, copy, which, src, dst);
    case 2:
      return CopyPatches<2>(pieces, copy, which, src, dst);
    case 3:
      return CopyPatches<3>(pieces, copy, which, src, dst);
    case 4:
      return CopyPatches<4>(pieces, copy, which, src, dst);
    case 5:
      return CopyPatches<5>(pieces, copy, which, src, dst);
    case 7:
      return CopyPatches<7>(pieces, copy, which, src, dst);
    default:
      return CopyPatches<0>(pieces, copy, which, src, dst);
  }
}

// No copy of a piece runs over its end by more.
constexpr int64_t kMostOverrun = 64;

// How many of `pieces.patches` can be copied `width` bytes at a time without
// touching what lies behind either buffer.
int64_t CountSafe(const Pieces& pieces, int64_t width, const char* src,
                  const char* src_end, const char* dst, const char* dst_end) {
  const int64_t readable = (src_end - src) - pieces.span() - width;
  const int64_t writable =
      (dst_end - dst) + pieces.below - (width - pieces.length);
  if (readable < 0 || writable < 0) return 0;
  return std::min({pieces.patches.count, writable / pieces.patch_bytes(),
                   readable / pieces.patches.step + 1});
}

#ifdef TF_PATCHES_X86
// Copies pieces of one lane each, where those of neighbouring patches lie side
// by side in the image: a square of lanes at a time, a patch's pieces down and
// the patches across. Returns how many patches it copied, from the first on.
template <int kLaneBytes>
int64_t TransposePatches(const Pieces& pieces, const char* src, char* dst,
                         const char* dst_end) {
  constexpr int64_t kLanes = 16 / kLaneBytes;
  constexpr int64_t kFewest = 6;  // below, moving lanes one by one is faster
  constexpr int64_t kMost = 256;
  const int64_t lanes = pieces.patch_bytes() / kLaneBytes;
  if (lanes < kFewest || lanes > kMost) return 0;
  const char* lane_src[kMost + kLanes] = {};  // null for a lane of zeros
  int64_t lane = pieces.above / kLaneBytes;
  for (int64_t i = 0; i < pieces.outer.count; ++i) {
    for (int64_t k = 0; k < pieces.inner.count; ++k) {
      lane_src[lane++] = src + i * pieces.outer.step + k * pieces.inner.step;
    }
  }
  // The last store of a patch may be too long by a square less one lane.
  const int64_t writable = (dst_end - dst - 16) / pieces.patch_bytes();
  const int64_t count =
      std::min(pieces.patches.count, writable) / kLanes * kLanes;
  for (int64_t n = 0; n < count; n += kLanes) {
    // From the last lanes to the first, which mend what those before overran.
    for (int64_t first = (lanes - 1) / kLanes * kLanes; first >= 0;
         first -= kLanes) {
      __m128i rows[kLanes];
      for (int64_t i = 0; i < kLanes; ++i) {
        const char* const from = lane_src[first + i];
        rows[i] = from == nullptr
                      ? _mm_setzero_si128()
                      : _mm_loadu_si128(reinterpret_cast<const __m128i*>(
                            from + n * kLaneBytes));
      }
      Transpose<kLaneBytes>(rows);
      char* to = dst + n * pieces.patch_bytes() + first * kLaneBytes;
      for (int64_t i = 0; i < kLanes; ++i, to += pieces.patch_bytes()) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to), rows[i]);
      }
    }
  }
  return count;
}

int64_t CopyByTransposing(const Pieces& pieces, const char* src, char* dst,
                          const char* dst_end) {
  if (pieces.patches.step != pieces.length) return 0;
  if (pieces.length == 1) {
    return TransposePatches<1>(pieces, src, dst, dst_end);
  }
  if (pieces.length == 2) {
    return TransposePatches<2>(pieces, src, dst, dst_end);
  }
  return 0;
}
#else
int64_t CopyByTransposing(const Pieces&, const char*, char*, const char*) {
  return 0;
}
#endif

void CopyPieces(const Pieces& pieces, const char* src, const char* src_end,
                char* dst, const char* dst_end) {
  const int64_t done = CopyByTransposing(pieces, src, dst, dst_end);
  WithCopyOf(pieces.length, [&](const auto& wide) {
    const int64_t safe = std::max(
        done, CountSafe(pieces, wide.width(), src, src_end, dst, dst_end));
    const auto copy = [&] {
      CopyFewPieces(pieces, wide, {done, safe}, src, dst);
    };
    if constexpr (std::decay_t<decltype(wide)>::kGainsByVectors) {
      WithWidestVectors(copy);
    } else {
      copy();
    }
    CopyPatches<0>(pieces, ExactCopy{pieces.length},
                   {safe, pieces.patches.count}, src, dst);
  });
}

// A block of patches: the rows `taps` of the patches `cols` of row `row` of the
// grid on image `batch`.
struct Block {
  int64_t batch;
  int64_t row;
  Range cols;
  Range taps;
};

class Extractor {
 public:
  // What `shuffles` was planned for. Lives no longer than the plan.
  Extractor(const PatchGrid& grid, int64_t pixel, const ShufflePlan& shuffles,
            const char* images)
      : grid_(grid),
        pixel_(pixel),
        image_row_(grid.cols.image * pixel_),
        image_(grid.rows.image * image_row_),
        patch_row_(grid.cols.patch * pixel_),
        inside_(grid.cols.Inside()),
        shuffles_(shuffles),
        images_(images),
        images_end_(images + grid.batch * image_) {}

  // Writes `block` to `dst`, side by side. What lies from there to `dst_end`
  // may be overwritten too.
  void Copy(const Block& block, char* dst, const char* dst_end) const {
    const Range inside = grid_.rows.TapsInside(block.row);
    const Range taps = {
        std::clamp(inside.begin, block.taps.begin, block.taps.end),
        std::clamp(inside.end, block.taps.begin, block.taps.end)};
    if (taps.empty()) {
      Zero(dst, block.cols.size() * block.taps.size() * patch_row_);
      return;
    }
    const Strip strip = {
        images_ + block.batch * image_ +
            (grid_.rows.Start(block.row) + taps.begin * grid_.rows.rate) *
                image_row_,
        taps.size(), (taps.begin - block.taps.begin) * patch_row_,
        (block.taps.end - taps.end) * patch_row_};
    const Range cols = block.cols;
    const int64_t inside_begin =
        std::clamp(inside_.begin, cols.begin, cols.end);
    const int64_t inside_end = std::clamp(inside_.end, inside_begin, cols.end);
    dst = CopyBorder(strip, {cols.begin, inside_begin}, dst);
    dst = CopyInside(strip, {inside_begin, inside_end}, dst, dst_end);
    CopyBorder(strip, {inside_end, cols.end}, dst);
  }

  int64_t patch_row() const { return patch_row_; }

 private:
  // The image rows under a block, the first of them at `src`, and the bytes of
  // each patch that lie above and below the image.
  struct Strip {
    const char* src;
    int64_t rows;
    int64_t above;
    int64_t below;
  };

  char* CopyInside(const Strip& strip, Range cols, char* dst,
                   const char* dst_end) const {
    if (cols.empty()) return dst;
    const char* const src = strip.src + grid_.cols.Start(cols.begin) * pixel_;
    if (strip.rows == grid_.rows.patch) {
      const int64_t done = shuffles_.Copy(cols.size(), src, images_end_, dst);
      cols.begin += done;
      dst += done * grid_.rows.patch * patch_row_;
      if (cols.empty()) return dst;
    }
    Pieces pieces = {Spaced(cols.size(), grid_.cols.stride, pixel_),
                     Spaced(strip.rows, grid_.rows.rate, image_row_),
                     Spaced(grid_.cols.patch, grid_.cols.rate, pixel_),
                     pixel_,
                     strip.above,
                     strip.below};
    char* const end = dst + cols.size() * pieces.patch_bytes();
    Merge(&pieces);
    CopyPieces(pieces, strip.src + grid_.cols.Start(cols.begin) * pixel_,
               images_end_, dst, dst_end);
    return end;
  }

  // Makes one piece of pieces that lie side by side in the image too: the
  // pixels of a patch row at rate 1, then rows as wide as the image, then
  // patches of one row that do not overlap.
  static void Merge(Pieces* pieces) {
    if (pieces->inner.step != pieces->length) return;
    pieces->length *= pieces->inner.count;
    pieces->inner = pieces->outer;
    pieces->outer = {1, 0};
    if (pieces->inner.step == pieces->length || pieces->inner.count == 1) {
      pieces->length *= pieces->inner.count;
      pieces->inner = {1, 0};
    }
    if (pieces->patches.step == pieces->length &&
        pieces->patch_bytes() == pieces->length) {
      pieces->length *= pieces->patches.count;
      pieces->patches.count = 1;
    }
  }

  // Patches that cross the left or the right edge of the image.
  char* CopyBorder(const Strip& strip, Range cols, char* dst) const {
    const Loop rows = Spaced(strip.rows, grid_.rows.rate, image_row_);
    for (int64_t col = cols.begin; col < cols.end; ++col) {
      const Range taps = grid_.cols.TapsInside(col);
      const int64_t first =
          grid_.cols.Start(col) + taps.begin * grid_.cols.rate;
      const char* row = strip.src + first * pixel_;
      dst = Zero(dst, strip.above);
      for (int64_t i = 0; i < rows.count; ++i) {
        dst = Zero(dst, taps.begin * pixel_);
        dst = CopyPixels(row, taps.size(), dst);
        dst = Zero(dst, (grid_.cols.patch - taps.end) * pixel_);
        row += rows.step;
      }
      dst = Zero(dst, strip.below);
    }
    return dst;
  }

  char* CopyPixels(const char* src, int64_t count, char* dst) const {
    if (grid_.cols.rate == 1) {
      std::memcpy(dst, src, count * pixel_);
      return dst + count * pixel_;
    }
    return CopyLine<0>(ExactCopy{pixel_}, pixel_,
                       Spaced(count, grid_.cols.rate, pixel_), src, dst);
  }

  const PatchGrid& grid_;
  const int64_t pixel_;
  const int64_t image_row_;
  const int64_t image_;
  const int64_t patch_row_;
  const Range inside_;
  const ShufflePlan& shuffles_;
  const char* const images_;
  const char* const images_end_;
};

// Calls `use` with the blocks of up to `most` patches that make up `which`,
// each within one row of the grid.
template <typename Use>
void ForEachBlock(const PatchGrid& grid, Range which, int64_t most,
                  const Use& use) {
  const int64_t cols = grid.cols.count;
  for (int64_t next = which.begin; next < which.end;) {
    const int64_t line = next / cols;
    const int64_t first = next % cols;
    const int64_t count = std::min({which.end - next, cols - first, most});
    use(Block{line / grid.rows.count,
              line % grid.rows.count,
              {first, first + count},
              {0, grid.rows.patch}});
    next += count;
  }
}

void CopyBlocks(const Extractor& extractor, const PatchGrid& grid, Range which,
                char* dst) {
  const int64_t patch_bytes = extractor.patch_row() * grid.rows.patch;
  const char* const end = dst + which.size() * patch_bytes;
  ForEachBlock(grid, which, grid.cols.count, [&](const Block& block) {
    extractor.Copy(block, dst, end);
    dst += block.cols.size() * patch_bytes;
  });
}

// Copies patches through a buffer: several of one row of the grid at a time,
// or, where one is larger than the buffer, some of its rows.
void StreamBlocks(const Extractor& extractor, const PatchGrid& grid,
                  Range which, char* dst) {
  // The last patches too may be copied a little too wide.
  alignas(64) char buffer[kStreamBufferBytes + kMostOverrun];
  const int64_t rows_at_once =
      std::min(grid.rows.patch, kStreamBufferBytes / extractor.patch_row());
  const int64_t patches_at_once =
      kStreamBufferBytes / (rows_at_once * extractor.patch_row());
  const bool whole = rows_at_once == grid.rows.patch;
  StreamWriter writer(dst);
  ForEachBlock(grid, which, whole ? patches_at_once : 1, [&](Block block) {
    for (int64_t tap = 0; tap < grid.rows.patch; tap += rows_at_once) {
      block.taps = {tap, std::min(tap + rows_at_once, grid.rows.patch)};
      extractor.Copy(block, buffer, std::end(buffer));
      writer.Append(buffer, block.cols.size() * block.taps.size() *
                                extractor.patch_row());
    }
  });
  writer.Finish();
  StreamWriter::Publish();
}

}  // namespace

Extraction PlanExtraction(const PatchGrid& grid, size_t element_bytes) {
  const int64_t pixel = grid.depth * static_cast<int64_t>(element_bytes);
  const int64_t patch_row = grid.cols.patch * pixel;
  const int64_t patch_bytes = grid.rows.patch * patch_row;
  const bool streamed = grid.patch_count() * patch_bytes >= streamed_bytes &&
                        patch_row <= kStreamBufferBytes;
  const auto copy = streamed ? StreamBlocks : CopyBlocks;
  const ShufflePlan shuffles(grid, pixel);
  return [=](const void* images, Range which, void* patches) {
    const Extractor extractor(grid, pixel, shuffles,
                              static_cast<const char*>(images));
    copy(extractor, grid, which,
         static_cast<char*>(patches) + which.begin * patch_bytes);
  };
}

}  // namespace tf_patches
