#include "kernels/extract.h"

#include <algorithm>
#include <cstring>

#include "kernels/piece_copy.h"

namespace tf_patches {
namespace {

struct Loop {
  int64_t count;
  int64_t step;  // bytes between turns, in the image
};

// A row of patches whose columns all lie in the image, as pieces of `length`
// bytes: scattered over the image by nested loops, side by side in the patches
// but for the zeros `above` and `below` each patch.
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

template <typename Copy>
void CopyPatches(const Pieces& pieces, const Copy& copy, Range which,
                 const char* src, char* dst) {
  dst += which.begin * pieces.patch_bytes();
  src += which.begin * pieces.patches.step;
  for (int64_t n = which.size(); n > 0; --n, src += pieces.patches.step) {
    dst = Zero(dst, pieces.above);
    const char* line = src;
    for (int64_t i = pieces.outer.count; i > 0;
         --i, line += pieces.outer.step) {
      const char* piece = line;
      for (int64_t k = pieces.inner.count; k > 0; --k) {
        copy(dst, piece);
        dst += pieces.length;
        piece += pieces.inner.step;
      }
    }
    dst = Zero(dst, pieces.below);
  }
}

// Copies all of `pieces`: wide copies for as many patches as stay within
// `src_end` and `dst_end`, exact ones for the rest.
void CopyPieces(const Pieces& pieces, const char* src, const char* src_end,
                char* dst, const char* dst_end) {
  WithCopyOf(pieces.length, [&](const auto& wide) {
    const int64_t readable = (src_end - src) - pieces.span() - wide.width();
    const int64_t writable =
        (dst_end - dst) + pieces.below - (wide.width() - pieces.length);
    int64_t safe =
        std::min(pieces.patches.count,
                 std::max<int64_t>(0, writable) / pieces.patch_bytes());
    safe =
        readable < 0 ? 0 : std::min(safe, readable / pieces.patches.step + 1);
    CopyPatches(pieces, wide, {0, safe}, src, dst);
    CopyPatches(pieces, ExactCopy{pieces.length}, {safe, pieces.patches.count},
                src, dst);
  });
}

class Extractor {
 public:
  Extractor(const PatchGrid& grid, size_t element_bytes, const char* images,
            const char* patches_end)
      : grid_(grid),
        pixel_(grid.depth * static_cast<int64_t>(element_bytes)),
        image_row_(grid.cols.image * pixel_),
        image_(grid.rows.image * image_row_),
        patch_row_(grid.cols.patch * pixel_),
        patch_(grid.rows.patch * patch_row_),
        inside_(grid.cols.Inside()),
        images_(images),
        images_end_(images + grid.batch * image_),
        patches_end_(patches_end) {}

  // Writes the patches `cols` of row `row` of image `batch` to `dst`.
  void CopyRow(int64_t batch, int64_t row, Range cols, char* dst) const {
    const Range taps = grid_.rows.TapsInside(row);
    const int64_t first_row =
        grid_.rows.Start(row) + taps.begin * grid_.rows.rate;
    const char* src = images_ + batch * image_ + first_row * image_row_;
    const int64_t inside_begin =
        std::clamp(inside_.begin, cols.begin, cols.end);
    const int64_t inside_end = std::clamp(inside_.end, inside_begin, cols.end);
    dst = CopyBorder(src, taps, {cols.begin, inside_begin}, dst);
    dst = CopyInside(src, taps, {inside_begin, inside_end}, dst);
    CopyBorder(src, taps, {inside_end, cols.end}, dst);
  }

  int64_t patch_bytes() const { return patch_; }

 private:
  // `src` is the image row under the first of the row taps `taps`.
  char* CopyInside(const char* src, Range taps, Range cols, char* dst) const {
    if (cols.empty()) return dst;
    Pieces pieces = {{cols.size(), grid_.cols.stride * pixel_},
                     {taps.size(), grid_.rows.rate * image_row_},
                     {grid_.cols.patch, grid_.cols.rate * pixel_},
                     pixel_,
                     taps.begin * patch_row_,
                     (grid_.rows.patch - taps.end) * patch_row_};
    Merge(&pieces);
    CopyPieces(pieces, src + grid_.cols.Start(cols.begin) * pixel_, images_end_,
               dst, patches_end_);
    return dst + cols.size() * patch_;
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
  char* CopyBorder(const char* src, Range taps, Range cols, char* dst) const {
    for (int64_t col = cols.begin; col < cols.end; ++col) {
      const Range inside = grid_.cols.TapsInside(col);
      const int64_t first_col =
          grid_.cols.Start(col) + inside.begin * grid_.cols.rate;
      dst = Zero(dst, taps.begin * patch_row_);
      const char* row = src + first_col * pixel_;
      for (int64_t tap = taps.begin; tap < taps.end; ++tap) {
        dst = Zero(dst, inside.begin * pixel_);
        dst = CopyPixels(row, inside.size(), dst);
        dst = Zero(dst, (grid_.cols.patch - inside.end) * pixel_);
        row += grid_.rows.rate * image_row_;
      }
      dst = Zero(dst, (grid_.rows.patch - taps.end) * patch_row_);
    }
    return dst;
  }

  char* CopyPixels(const char* src, int64_t count, char* dst) const {
    const int64_t step = grid_.cols.rate * pixel_;
    const bool adjacent = step == pixel_;
    const int64_t length = adjacent ? count * pixel_ : pixel_;
    for (int64_t n = adjacent ? 1 : count; n > 0; --n, src += step) {
      std::memcpy(dst, src, length);
      dst += length;
    }
    return dst;
  }

  const PatchGrid& grid_;
  const int64_t pixel_;
  const int64_t image_row_;
  const int64_t image_;
  const int64_t patch_row_;
  const int64_t patch_;
  const Range inside_;
  const char* const images_;
  const char* const images_end_;
  const char* const patches_end_;
};

}  // namespace

void ExtractPatches(const PatchGrid& grid, size_t element_bytes,
                    const void* images, Range which, void* patches) {
  const int64_t patch_bytes =
      grid.patch_depth() * static_cast<int64_t>(element_bytes);
  char* const out = static_cast<char*>(patches);
  const Extractor extractor(grid, element_bytes,
                            static_cast<const char*>(images),
                            out + which.end * patch_bytes);
  const int64_t cols = grid.cols.count;
  for (int64_t next = which.begin; next < which.end;) {
    const int64_t line = next / cols;
    const int64_t end = std::min(which.end, (line + 1) * cols);
    extractor.CopyRow(line / grid.rows.count, line % grid.rows.count,
                      {next - line * cols, end - line * cols},
                      out + next * patch_bytes);
    next = end;
  }
}

}  // namespace tf_patches
