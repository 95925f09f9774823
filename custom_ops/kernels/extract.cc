#include "kernels/extract.h"

#include <algorithm>
#include <iterator>

#include "kernels/pieces.h"
#include "kernels/shuffle_plan.h"
#include "kernels/stream_writer.h"

namespace tf_patches {
namespace {

// A part of a line of patches: the rows `taps` of its patches `cols`. The
// patches of a line differ only in the last axis.
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

  // Calls `use` with the blocks that make up `which`. A block is up to `most`
  // whole patches, or some rows of a patch.
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
    // Room for the last copy, which may be a little too wide.
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

  // Writes `block` to `dst`, side by side. May overwrite everything up to
  // `dst_end`.
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

  // Makes lines from rows at equal distances: the rows of a plane.
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

  // Joins patches that lie side by side in the image too into a single piece.
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
    for (int64_t col = cols.begin; col < cols.end; ++col) {
      dst = CopyBorderPatch(grid_.cols(), col, pixel_, rows.image, rows.list,
                            rows.count, constant_, dst);
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
