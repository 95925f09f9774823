#include "kernels/extract.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <limits>
#include <type_traits>

#include "kernels/instructions.h"
#include "kernels/layout.h"
#include "kernels/piece_copy.h"
#include "kernels/shuffle_plan.h"
#include "kernels/stream_writer.h"
#include "kernels/transpose.h"

namespace tf_patches {
namespace {

// Rows of a patch that are copied at once, as many as a list of them on the
// stack may hold.
constexpr int64_t kMostRows = 1024;

// In place of an image row: outside, where all is constant.
constexpr int64_t kNoRow = std::numeric_limits<int64_t>::min();

// What lies outside of images: one element again and again.
class Constant {
 public:
  Constant(const std::string& element, int64_t element_bytes)
      : element_(element.empty() ? std::string(element_bytes, 0) : element),
        is_one_byte_(element_ == std::string(element_bytes, element_[0])) {}

  char* Fill(char* dst, int64_t bytes) const {
    if (bytes == 0) return dst;
    if (is_one_byte_) {
      std::memset(dst, element_[0], bytes);
      return dst + bytes;
    }
    const auto element = static_cast<int64_t>(element_.size());
    std::memcpy(dst, element_.data(), element);
    for (int64_t done = element; done < bytes; done *= 2) {
      std::memcpy(dst + done, dst, std::min(done, bytes - done));
    }
    return dst + bytes;
  }

 private:
  const std::string element_;
  const bool is_one_byte_;
};

struct Loop {
  int64_t count;
  int64_t step;  // bytes between turns, in the image
};

Loop Spaced(int64_t count, int64_t apart, int64_t unit) {
  return {count, StepBetween(count, apart, unit)};
}

// Patches of one line whose columns all lie in the image, as pieces of `length`
// bytes: scattered over the image, side by side in the patches.
struct Pieces {
  Loop patches;
  const int64_t* rows;  // where the first piece of each row lies, or kNoRow
  int64_t row_count;
  Loop inner;  // the pieces of a row
  int64_t length;
  const Constant& constant;

  int64_t row_bytes() const { return inner.count * length; }
  int64_t patch_bytes() const { return row_count * row_bytes(); }
  bool IsWhole() const {
    return std::count(rows, rows + row_count, kNoRow) == 0;
  }
  // Bytes from the first patch's `src` to the start of its last piece.
  int64_t span() const {
    return *std::max_element(rows, rows + row_count) +
           (inner.count - 1) * inner.step;
  }
};

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

// `kWhole` patches have all their rows in the image. The pieces come by value,
// and constantly many rows are copied, since no store can change a local copy.
template <int kRows, int kInner, bool kWhole, typename Copy>
void CopyPatches(const Pieces pieces, const Copy& copy, Range which,
                 const char* src, char* dst) {
  int64_t copied[std::max(kRows, 1)];
  std::copy_n(pieces.rows, kRows, copied);
  const int64_t* const rows = kRows > 0 ? copied : pieces.rows;
  const int64_t row_count = kRows > 0 ? kRows : pieces.row_count;
  dst += which.begin * pieces.patch_bytes();
  src += which.begin * pieces.patches.step;
  for (int64_t n = which.size(); n > 0; --n, src += pieces.patches.step) {
    for (int64_t i = 0; i < row_count; ++i) {
      if (!kWhole && rows[i] == kNoRow) {
        dst = pieces.constant.Fill(dst, pieces.row_bytes());
        continue;
      }
      dst = CopyLine<kInner>(copy, pieces.length, pieces.inner, src + rows[i],
                             dst);
    }
  }
}

// Without its loops, a patch of a few short pieces takes a quarter of the time.
template <typename Copy>
void CopyFewPieces(const Pieces& pieces, const Copy& copy, Range which,
                   const char* src, char* dst) {
  const bool is_solid = pieces.inner.count == 1;
  if (!pieces.IsWhole()) {
    const auto copy_patches = is_solid ? CopyPatches<0, 1, false, Copy>
                                       : CopyPatches<0, 0, false, Copy>;
    return copy_patches(pieces, copy, which, src, dst);
  }
  switch (is_solid ? pieces.row_count : -pieces.inner.count) {
    case 1:
      return CopyPatches<1, 1, true>(pieces, copy, which, src, dst);
    case 2:
      return CopyPatches<2, 1, true>(pieces, copy, which, src, dst);
    case 3:
      return CopyPatches<3, 1, true>(pieces, copy, which, src, dst);
    case 4:
      return CopyPatches<4, 1, true>(pieces, copy, which, src, dst);
    case 5:
      return CopyPatches<5, 1, true>(pieces, copy, which, src, dst);
    case 7:
      return CopyPatches<7, 1, true>(pieces, copy, which, src, dst);
    case 9:
      return CopyPatches<9, 1, true>(pieces, copy, which, src, dst);
    case -2:
      return CopyPatches<0, 2, true>(pieces, copy, which, src, dst);
    case -3:
      return CopyPatches<0, 3, true>(pieces, copy, which, src, dst);
    case -4:
      return CopyPatches<0, 4, true>(pieces, copy, which, src, dst);
    case -5:
      return CopyPatches<0, 5, true>(pieces, copy, which, src, dst);
    case -7:
      return CopyPatches<0, 7, true>(pieces, copy, which, src, dst);
    default:
      break;
  }
  const auto copy_patches =
      is_solid ? CopyPatches<0, 1, true, Copy> : CopyPatches<0, 0, true, Copy>;
  copy_patches(pieces, copy, which, src, dst);
}

// No copy of a piece runs over its end by more.
constexpr int64_t kMostOverrun = 64;

// How many of `pieces.patches` can be copied `width` bytes at a time without
// touching what lies behind either buffer.
int64_t CountSafe(const Pieces& pieces, int64_t width, const char* src,
                  const char* src_end, const char* dst, const char* dst_end) {
  const int64_t readable = (src_end - src) - pieces.span() - width;
  const int64_t writable = (dst_end - dst) - (width - pieces.length);
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
  const char* lane_src[kMost + kLanes] = {};  // null for a lane of the constant
  int64_t lane = 0;
  for (int64_t i = 0; i < pieces.row_count; ++i) {
    for (int64_t k = 0; k < pieces.inner.count; ++k, ++lane) {
      if (pieces.rows[i] == kNoRow) continue;
      lane_src[lane] = src + pieces.rows[i] + k * pieces.inner.step;
    }
  }
  char outside[16];
  pieces.constant.Fill(outside, 16);
  const __m128i constant =
      _mm_loadu_si128(reinterpret_cast<const __m128i*>(outside));
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
                      ? constant
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
    CopyPatches<0, 0, false>(pieces, ExactCopy{pieces.length},
                             {safe, pieces.patches.count}, src, dst);
  });
}

// Part of a line of patches, which differ in the last axis only: the rows
// `taps` of its patches `cols`.
struct Block {
  int64_t line;  // counted over all images
  Range cols;
  Range taps;
};

// The image rows under the rows of a block.
struct Rows {
  const char* image;
  int64_t list[kMostRows];  // from `image` on, or kNoRow
  int64_t count;
  bool is_even;  // they are as far apart as those of any patch inside
};

class Extractor {
 public:
  Extractor(const PatchGrid& grid, int64_t element_bytes,
            const std::string& constant)
      : grid_(grid),
        pixel_(grid.depth * element_bytes),
        image_row_(grid.cols().image * pixel_),
        patch_row_(grid.cols().patch * pixel_),
        inside_(grid.cols().Inside()),
        constant_(constant, element_bytes),
        shuffles_(grid, pixel_),
        is_streamed_(grid.patch_count() * patch_bytes() >= streamed_bytes &&
                     patch_row_ <= kStreamBufferBytes),
        rows_at_once_(std::min(
            {grid.patch_rows(), kMostRows,
             is_streamed_ ? kStreamBufferBytes / patch_row_ : kMostRows})) {}

  void operator()(const void* images, Range which, void* patches) const {
    const Images from = {static_cast<const char*>(images), ImagesEnd(images)};
    char* const to = static_cast<char*>(patches) + which.begin * patch_bytes();
    if (is_streamed_) return StreamBlocks(from, which, to);
    CopyBlocks(from, which, to);
  }

 private:
  struct Images {
    const char* begin;
    const char* end;
  };

  int64_t patch_bytes() const { return grid_.patch_rows() * patch_row_; }

  const char* ImagesEnd(const void* images) const {
    return static_cast<const char*>(images) + grid_.image_rows() * image_row_;
  }

  // Calls `use` with the blocks that make up `which`: some whole patches, up to
  // `most`, or some rows of one.
  template <typename Use>
  void ForEachBlock(Range which, int64_t most, const Use& use) const {
    const int64_t cols = grid_.cols().count;
    const int64_t rows = grid_.patch_rows();
    if (rows_at_once_ < rows) most = 1;
    for (int64_t next = which.begin; next < which.end;) {
      const int64_t first = next % cols;
      const int64_t count = std::min({which.end - next, cols - first, most});
      for (int64_t tap = 0; tap < rows; tap += rows_at_once_) {
        use(Block{next / cols,
                  {first, first + count},
                  {tap, std::min(tap + rows_at_once_, rows)}});
      }
      next += count;
    }
  }

  int64_t BytesOf(const Block& block) const {
    return block.cols.size() * block.taps.size() * patch_row_;
  }

  void CopyBlocks(const Images& images, Range which, char* dst) const {
    const char* const end = dst + which.size() * patch_bytes();
    ForEachBlock(which, grid_.cols().count, [&](const Block& block) {
      Copy(images, block, dst, end);
      dst += BytesOf(block);
    });
  }

  // Copies patches through a buffer.
  void StreamBlocks(const Images& images, Range which, char* dst) const {
    // The last patches too may be copied a little too wide.
    alignas(64) char buffer[kStreamBufferBytes + kMostOverrun];
    const int64_t most = kStreamBufferBytes / (rows_at_once_ * patch_row_);
    StreamWriter writer(dst);
    ForEachBlock(which, most, [&](const Block& block) {
      Copy(images, block, buffer, std::end(buffer));
      writer.Append(buffer, BytesOf(block));
    });
    writer.Finish();
    StreamWriter::Publish();
  }

  // Writes `block` to `dst`, side by side. What lies from there to `dst_end`
  // may be overwritten too.
  void Copy(const Images& images, const Block& block, char* dst,
            const char* dst_end) const {
    Rows rows;
    if (!FindRows(images, block, &rows)) {
      constant_.Fill(dst, BytesOf(block));
      return;
    }
    const Range cols = block.cols;
    const int64_t inside_begin =
        std::clamp(inside_.begin, cols.begin, cols.end);
    const int64_t inside_end = std::clamp(inside_.end, inside_begin, cols.end);
    dst = CopyBorder(rows, {cols.begin, inside_begin}, dst);
    dst = CopyInside(images, rows, {inside_begin, inside_end}, dst, dst_end);
    CopyBorder(rows, {inside_end, cols.end}, dst);
  }

  // Returns whether any of the rows lies in the image.
  bool FindRows(const Images& images, const Block& block, Rows* rows) const {
    const Axis& up = grid_.planes();
    const Axis& down = grid_.rows();
    const int64_t i = block.line % down.count;
    const int64_t plane_line = block.line / down.count;
    const int64_t p = plane_line % up.count;
    const int64_t image_bytes = up.image * down.image * image_row_;
    rows->image = images.begin + plane_line / up.count * image_bytes;
    rows->count = block.taps.size();
    rows->is_even = up.Inside().Holds(p) && down.Inside().Holds(i) &&
                    rows->count == grid_.patch_rows();
    bool any = false;
    int64_t tap = block.taps.begin % down.patch;
    int64_t n = 0;
    for (int64_t plane_tap = block.taps.begin / down.patch; n < rows->count;
         ++plane_tap, tap = 0) {
      const int64_t plane = up.Source(up.Pixel(p, plane_tap));
      for (; tap < down.patch && n < rows->count; ++tap, ++n) {
        const int64_t row = down.Source(down.Pixel(i, tap));
        const bool exists = plane >= 0 && row >= 0;
        rows->list[n] =
            exists ? (plane * down.image + row) * image_row_ : kNoRow;
        any |= exists;
      }
    }
    return any;
  }

  char* CopyInside(const Images& images, const Rows& rows, Range cols,
                   char* dst, const char* dst_end) const {
    if (cols.empty()) return dst;
    const Axis& across = grid_.cols();
    const auto source = [&] {
      return rows.image + across.Start(cols.begin) * pixel_;
    };
    if (rows.is_even) {
      const int64_t done =
          shuffles_.Copy(cols.size(), source() + rows.list[0], images.end, dst);
      cols.begin += done;
      dst += done * patch_bytes();
      if (cols.empty()) return dst;
    }
    Pieces pieces = {
        Spaced(cols.size(), across.stride, pixel_), rows.list, rows.count,
        Spaced(across.patch, across.rate, pixel_),  pixel_,    constant_};
    char* const end = dst + cols.size() * pieces.patch_bytes();
    Merge(&pieces);
    CopyPieces(pieces, source(), images.end, dst, dst_end);
    return end;
  }

  // Makes one piece of pieces that lie side by side in the image too: the
  // pixels of a patch row at rate 1, then patches of one row that do not
  // overlap.
  static void Merge(Pieces* pieces) {
    if (pieces->inner.step != pieces->length) return;
    pieces->length *= pieces->inner.count;
    pieces->inner = {1, 0};
    if (pieces->row_count == 1 && pieces->patches.step == pieces->length) {
      pieces->length *= pieces->patches.count;
      pieces->patches.count = 1;
    }
  }

  // Patches that cross the left or the right edge of the image.
  char* CopyBorder(const Rows& rows, Range cols, char* dst) const {
    for (int64_t col = cols.begin; col < cols.end; ++col) {
      const Range taps = grid_.cols().TapsInside(col);
      for (int64_t i = 0; i < rows.count; ++i) {
        if (rows.list[i] == kNoRow) {
          dst = constant_.Fill(dst, patch_row_);
          continue;
        }
        const char* const row = rows.image + rows.list[i];
        dst = CopyOutside(row, col, {0, taps.begin}, dst);
        dst = CopyPixels(row, col, taps, dst);
        dst = CopyOutside(row, col, {taps.end, grid_.cols().patch}, dst);
      }
    }
    return dst;
  }

  char* CopyPixels(const char* row, int64_t col, Range taps, char* dst) const {
    if (taps.empty()) return dst;
    const Axis& across = grid_.cols();
    row += across.Pixel(col, taps.begin) * pixel_;
    if (across.rate == 1) {
      std::memcpy(dst, row, taps.size() * pixel_);
      return dst + taps.size() * pixel_;
    }
    return CopyLine<0>(ExactCopy{pixel_}, pixel_,
                       Spaced(taps.size(), across.rate, pixel_), row, dst);
  }

  // What the taps of a patch see beyond the edge.
  char* CopyOutside(const char* row, int64_t col, Range taps, char* dst) const {
    const Axis& across = grid_.cols();
    if (across.border == Border::kConstant) {
      return constant_.Fill(dst, taps.size() * pixel_);
    }
    for (int64_t tap = taps.begin; tap < taps.end; ++tap, dst += pixel_) {
      const int64_t source = across.Source(across.Pixel(col, tap));
      std::memcpy(dst, row + source * pixel_, pixel_);
    }
    return dst;
  }

  const PatchGrid grid_;
  const int64_t pixel_;  // lengths in bytes
  const int64_t image_row_;
  const int64_t patch_row_;
  const Range inside_;
  const Constant constant_;
  const ShufflePlan shuffles_;
  const bool is_streamed_;
  const int64_t rows_at_once_;
};

}  // namespace

Plan PlanExtraction(const PatchGrid& grid, int64_t element_bytes,
                    const std::string& constant) {
  return {grid.patch_count(),
          Extractor(grid.Reduced(), element_bytes, constant)};
}

}  // namespace tf_patches
