#include "kernels/extract_at.h"

#include <algorithm>

#include "kernels/piece_copy.h"
#include "kernels/pieces.h"

namespace tf_patches {
namespace {

// Reverses the pixels of each of `count` lines, which lie side by side at
// `data`.
template <typename Swap>
void ReverseLines(char* data, int64_t count, int64_t pixels, int64_t pixel,
                  const Swap& swap) {
  for (int64_t n = 0; n < count; ++n, data += pixels * pixel) {
    char* first = data;
    char* last = data + (pixels - 1) * pixel;
    for (; first < last; first += pixel, last -= pixel) swap(first, last);
  }
}

template <int kPixel>
struct SwapOf {
  void operator()(char* a, char* b) const {
    char kept[kPixel];
    std::memcpy(kept, a, kPixel);
    std::memcpy(a, b, kPixel);
    std::memcpy(b, kept, kPixel);
  }
};

void ReverseLines(char* data, int64_t count, int64_t pixels, int64_t pixel) {
  const auto reverse = [&](const auto& swap) {
    ReverseLines(data, count, pixels, pixel, swap);
  };
  switch (pixel) {
    case 1:
      return reverse(SwapOf<1>());
    case 2:
      return reverse(SwapOf<2>());
    case 3:
      return reverse(SwapOf<3>());
    case 4:
      return reverse(SwapOf<4>());
    case 8:
      return reverse(SwapOf<8>());
    case 12:
      return reverse(SwapOf<12>());
    case 16:
      return reverse(SwapOf<16>());
    default:
      return reverse(
          [pixel](char* a, char* b) { std::swap_ranges(a, a + pixel, b); });
  }
}

// The rows of an image under some of the rows of a patch.
struct Rows {
  int64_t list[kMostRows];  // or kNoRow
  int64_t count;
  int64_t last;     // of the list, the furthest; kNoRow if all are outside
  bool are_inside;  // all of them
};

class PlacedExtractor {
 public:
  PlacedExtractor(const Placement& placement, int64_t element_bytes,
                  const std::string& constant)
      : placement_(placement),
        pixel_(placement.depth * element_bytes),
        image_row_(placement.axis[2].image * pixel_),
        image_(placement.axis[0].image * placement.axis[1].image * image_row_),
        patch_row_(placement.axis[2].patch * pixel_),
        constant_(constant, element_bytes) {}

  void operator()(const void* images, Range which, void* patches) const {
    const auto* const from = static_cast<const char*>(images);
    const char* const from_end = from + placement_.batch * image_;
    const int64_t patch = placement_.patch_rows() * patch_row_;
    char* to = static_cast<char*>(patches) + which.begin * patch;
    const char* const to_end = to + which.size() * patch;
    for (int64_t n = which.begin; n < which.end; ++n) {
      const char* const image = from + n / placement_.count * image_;
      to = Copy(placement_.PlaceOf(n), image, from_end, to, to_end);
    }
  }

 private:
  char* Copy(const Place& place, const char* image, const char* images_end,
             char* dst, const char* dst_end) const {
    const Axis planes = placement_.At(place, 0);
    const Axis rows = placement_.At(place, 1);
    const Axis cols = placement_.At(place, 2);
    const int64_t row_count = placement_.patch_rows();
    const bool is_inside = cols.TapsInside(0).size() == cols.patch;
    for (int64_t first = 0; first < row_count; first += kMostRows) {
      Rows found;
      found.count = std::min(kMostRows, row_count - first);
      FindRows(place, planes, rows, first, &found);
      char* const begin = dst;
      dst += found.count * patch_row_;
      if (found.last == kNoRow) {
        constant_.Fill(begin, dst - begin);
        continue;
      }
      if (is_inside) {
        CopyInside(found, cols, image, images_end, begin, dst_end);
      } else {
        CopyBorderPatch(cols, 0, pixel_, image, found.list, found.count,
                        constant_, begin);
      }
      if (place.is_flipped[2]) {
        ReverseLines(begin, found.count, cols.patch, pixel_);
      }
    }
    return dst;
  }

  void FindRows(const Place& place, const Axis& planes, const Axis& rows,
                int64_t first, Rows* found) const {
    found->last = kNoRow;
    found->are_inside = true;
    int64_t plane_tap = first / rows.patch;
    int64_t tap = first % rows.patch;
    int64_t plane = Source(planes, plane_tap, place.is_flipped[0]);
    for (int64_t n = 0; n < found->count; ++n) {
      const int64_t row = Source(rows, tap, place.is_flipped[1]);
      const bool exists = plane >= 0 && row >= 0;
      found->list[n] =
          exists ? (plane * rows.image + row) * image_row_ : kNoRow;
      found->are_inside &= exists;
      found->last = std::max(found->last, found->list[n]);
      if (++tap == rows.patch && n + 1 < found->count) {
        tap = 0;
        plane = Source(planes, ++plane_tap, place.is_flipped[0]);
      }
    }
  }

  static int64_t Source(const Axis& axis, int64_t stored, bool is_flipped) {
    const int64_t tap = is_flipped ? axis.patch - 1 - stored : stored;
    return axis.Source(axis.Pixel(0, tap));
  }

  void CopyInside(const Rows& rows, const Axis& cols, const char* image,
                  const char* images_end, char* dst,
                  const char* dst_end) const {
    Pieces pieces = {
        {1, pixel_}, rows.list,
        rows.count,  rows.are_inside ? Lines::kInside : Lines::kAny,
        rows.last,   Spaced(cols.patch, cols.rate, pixel_),
        pixel_,      constant_};
    if (cols.rate == 1 || cols.patch == 1) {
      pieces.length = patch_row_;
      pieces.line = {1, 0};
    }
    if (rows.are_inside && rows.count == 1) pieces.kind = Lines::kOne;
    CopyPieces(pieces, image + cols.Start(0) * pixel_, images_end, dst,
               dst_end);
  }

  const Placement& placement_;
  const int64_t pixel_;  // lengths in bytes
  const int64_t image_row_;
  const int64_t image_;
  const int64_t patch_row_;
  const Constant constant_;
};

}  // namespace

Plan PlanExtractionAt(const Placement& placement, int64_t element_bytes,
                      const std::string& constant) {
  return {placement.patch_count(),
          PlacedExtractor(placement, element_bytes, constant)};
}

}  // namespace tf_patches
