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

// The lines of patches: one, several that lie in the image, or any.
enum class Lines { kOne, kInside, kAny };

// Patches of one line whose columns all lie in the image, as lines of pieces of
// `length` bytes: scattered over the image, side by side in the patches.
struct Pieces {
  Loop patches;
  const int64_t* lines;  // where the first piece of each lies, or kNoRow
  int64_t line_count;
  Lines kind;
  int64_t reach;  // of the first patch, to its last line
  Loop line;      // the pieces of a line
  int64_t length;
  const Constant& constant;

  int64_t line_bytes() const { return line.count * length; }
  int64_t patch_bytes() const { return line_count * line_bytes(); }
  // Bytes from the first patch's `src` to the start of its last piece.
  int64_t span() const { return reach + (line.count - 1) * line.step; }
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

// The pieces come by value, since no store can change a local copy.
template <int kCount, Lines kLines, typename Copy>
void CopyPatches(const Pieces pieces, const Copy& copy, Range which,
                 const char* src, char* dst) {
  dst += which.begin * pieces.patch_bytes();
  src += which.begin * pieces.patches.step;
  if (kLines == Lines::kOne) src += pieces.lines[0];
  for (int64_t n = which.size(); n > 0; --n, src += pieces.patches.step) {
    if constexpr (kLines == Lines::kOne) {
      dst = CopyLine<kCount>(copy, pieces.length, pieces.line, src, dst);
      continue;
    }
    for (int64_t i = 0; i < pieces.line_count; ++i) {
      const int64_t line = pieces.lines[i];
      if (kLines == Lines::kAny && line == kNoRow) {
        dst = pieces.constant.Fill(dst, pieces.line_bytes());
        continue;
      }
      dst = CopyLine<kCount>(copy, pieces.length, pieces.line, src + line, dst);
    }
  }
}

template <int kCount, typename Copy>
void CopyPatches(const Pieces pieces, const Copy& copy, Range which,
                 const char* src, char* dst) {
  switch (pieces.kind) {
    case Lines::kOne:
      return CopyPatches<kCount, Lines::kOne>(pieces, copy, which, src, dst);
    case Lines::kInside:
      return CopyPatches<kCount, Lines::kInside>(pieces, copy, which, src, dst);
    case Lines::kAny:
      return CopyPatches<kCount, Lines::kAny>(pieces, copy, which, src, dst);
  }
}

// Without its loop, a patch of a few short pieces takes a quarter of the time.
template <typename Copy>
void CopyFewPieces(const Pieces& pieces, const Copy& copy, Range which,
                   const char* src, char* dst) {
  switch (pieces.line.count) {
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
  for (int64_t i = 0; i < pieces.line_count; ++i) {
    for (int64_t k = 0; k < pieces.line.count; ++k, ++lane) {
      if (pieces.lines[i] == kNoRow) continue;
      lane_src[lane] = src + pieces.lines[i] + k * pieces.line.step;
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

// Compiles `run` by itself, where its loops have all registers.
template <typename Run>
[[gnu::noinline]] void RunAlone(const Run& run) {
  run(VectorBytes<16>());
}

void CopyPieces(const Pieces& pieces, const char* src, const char* src_end,
                char* dst, const char* dst_end) {
  const int64_t done = CopyByTransposing(pieces, src, dst, dst_end);
  WithCopyOf(pieces.length, [&](const auto& wide) {
    const int64_t safe = std::max(
        done, CountSafe(pieces, wide.width(), src, src_end, dst, dst_end));
    const auto copy = [&](auto) {
      CopyFewPieces(pieces, wide, {done, safe}, src, dst);
    };
    if constexpr (std::decay_t<decltype(wide)>::kGainsByVectors) {
      WithWidestVectors(copy);
    } else {
      RunAlone(copy);
    }
    CopyPatches<0>(pieces, ExactCopy{pieces.length},
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
  int64_t last;     // of the list, the furthest; kNoRow if all are outside
  bool are_inside;  // all of them
  bool are_even;    // all of a patch, as far apart as those of any inside
};

class Extractor {
 public:
  Extractor(const PatchGrid& grid, int64_t element_bytes,
            const std::string& constant)
      : grid_(grid),
        pixel_(grid.depth * element_bytes),
        image_row_(grid.cols().image * pixel_),
        image_(grid.planes().image * grid.rows().image * image_row_),
        patch_row_(grid.cols().patch * pixel_),
        planes_inside_(grid.planes().Inside()),
        rows_inside_(grid.rows().Inside()),
        cols_inside_(grid.cols().Inside()),
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
    FindRows(images, block, &rows);
    if (rows.last == kNoRow) {
      constant_.Fill(dst, BytesOf(block));
      return;
    }
    const Range cols = block.cols;
    const int64_t inside_begin =
        std::clamp(cols_inside_.begin, cols.begin, cols.end);
    const int64_t inside_end =
        std::clamp(cols_inside_.end, inside_begin, cols.end);
    dst = CopyBorder(rows, {cols.begin, inside_begin}, dst);
    dst = CopyInside(images, rows, {inside_begin, inside_end}, dst, dst_end);
    CopyBorder(rows, {inside_end, cols.end}, dst);
  }

  void FindRows(const Images& images, const Block& block, Rows* rows) const {
    const Axis& up = grid_.planes();
    const Axis& down = grid_.rows();
    const int64_t plane_line = block.line / down.count;
    const int64_t i = block.line - plane_line * down.count;
    const int64_t batch = plane_line / up.count;
    const int64_t p = plane_line - batch * up.count;
    rows->image = images.begin + batch * image_;
    rows->count = block.taps.size();
    const bool is_inside = planes_inside_.Holds(p) && rows_inside_.Holds(i);
    rows->are_even = is_inside && rows->count == grid_.patch_rows();
    if (rows->are_even) return ListEvenRows(p, i, rows);
    rows->are_inside = true;
    rows->last = kNoRow;
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
        rows->are_inside &= exists;
        rows->last = std::max(rows->last, rows->list[n]);
      }
    }
  }

  void ListEvenRows(int64_t p, int64_t i, Rows* rows) const {
    const Axis& up = grid_.planes();
    const Axis& down = grid_.rows();
    int64_t plane = (up.Start(p) * down.image + down.Start(i)) * image_row_;
    int64_t n = 0;
    for (int64_t k = 0; k < up.patch; ++k) {
      int64_t row = plane;
      for (int64_t t = 0; t < down.patch; ++t) {
        rows->list[n++] = row;
        row += down.rate * image_row_;
      }
      plane += up.rate * down.image * image_row_;
    }
    rows->last = rows->list[n - 1];
    rows->are_inside = true;
  }

  char* CopyInside(const Images& images, const Rows& rows, Range cols,
                   char* dst, const char* dst_end) const {
    if (cols.empty()) return dst;
    const Axis& across = grid_.cols();
    const auto source = [&] {
      return rows.image + across.Start(cols.begin) * pixel_;
    };
    if (rows.are_even) {
      const int64_t done =
          shuffles_.Copy(cols.size(), source() + rows.list[0], images.end, dst);
      cols.begin += done;
      dst += done * patch_bytes();
      if (cols.empty()) return dst;
    }
    int64_t planes[kMostRows];
    Pieces pieces = {Spaced(cols.size(), across.stride, pixel_),
                     rows.list,
                     rows.count,
                     rows.are_inside ? Lines::kInside : Lines::kAny,
                     rows.last,
                     Spaced(across.patch, across.rate, pixel_),
                     pixel_,
                     constant_};
    char* const end = dst + cols.size() * pieces.patch_bytes();
    if (across.rate == 1 || across.patch == 1) {
      pieces.length = patch_row_;
      pieces.line = {1, 0};
      if (rows.are_even) TakePlanes(rows, &pieces, planes);
      JoinPatches(&pieces);
    }
    if (rows.are_inside && pieces.line_count == 1) pieces.kind = Lines::kOne;
    CopyPieces(pieces, source(), images.end, dst, dst_end);
    return end;
  }

  // Makes lines of the rows that are as far apart as each other: those of a
  // plane.
  void TakePlanes(const Rows& rows, Pieces* pieces, int64_t* planes) const {
    const Axis& down = grid_.rows();
    for (int64_t i = 0; i < grid_.planes().patch; ++i) {
      planes[i] = rows.list[i * down.patch];
    }
    pieces->lines = planes;
    pieces->line_count = grid_.planes().patch;
    pieces->reach = planes[pieces->line_count - 1];
    pieces->line = Spaced(down.patch, down.rate, image_row_);
  }

  // Makes one piece of patches that lie side by side in the image too.
  static void JoinPatches(Pieces* pieces) {
    if (pieces->patch_bytes() != pieces->length ||
        pieces->patches.step != pieces->length) {
      return;
    }
    pieces->length *= pieces->patches.count;
    pieces->patches.count = 1;
  }

  // Patches that cross the left or the right edge of the image.
  char* CopyBorder(const Rows& rows, Range cols, char* dst) const {
    const Axis& across = grid_.cols();
    for (int64_t col = cols.begin; col < cols.end; ++col) {
      const Range taps = across.TapsInside(col);
      const int64_t first =
          taps.empty() ? 0 : across.Pixel(col, taps.begin) * pixel_;
      for (int64_t i = 0; i < rows.count; ++i) {
        if (rows.list[i] == kNoRow) {
          dst = constant_.Fill(dst, patch_row_);
          continue;
        }
        const char* const row = rows.image + rows.list[i];
        dst = CopyOutside(row, col, {0, taps.begin}, dst);
        dst = CopyPixels(row + first, taps.size(), dst);
        dst = CopyOutside(row, col, {taps.end, across.patch}, dst);
      }
    }
    return dst;
  }

  char* CopyPixels(const char* src, int64_t count, char* dst) const {
    if (grid_.cols().rate == 1) {
      std::memcpy(dst, src, count * pixel_);
      return dst + count * pixel_;
    }
    return CopyLine<0>(ExactCopy{pixel_}, pixel_,
                       Spaced(count, grid_.cols().rate, pixel_), src, dst);
  }

  // What the taps of a patch see beyond the edge.
  char* CopyOutside(const char* row, int64_t col, Range taps, char* dst) const {
    const Axis& across = grid_.cols();
    if (taps.empty()) return dst;
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
  const int64_t image_;
  const int64_t patch_row_;
  const Range planes_inside_;
  const Range rows_inside_;
  const Range cols_inside_;
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
