// How lines of patches are copied.
#ifndef TF_PATCHES_KERNELS_PIECES_H_
#define TF_PATCHES_KERNELS_PIECES_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>

#include "geometry/axis.h"
#include "kernels/layout.h"

namespace tf_patches {

// How many rows of a patch are copied together: a list of them lies on the
// stack.
inline constexpr int64_t kMostRows = 1024;

// Stands for an image row outside, where all is constant.
inline constexpr int64_t kNoRow = std::numeric_limits<int64_t>::min();

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

inline Loop Spaced(int64_t count, int64_t apart, int64_t unit) {
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

// A copy of a piece overruns its end by no more bytes than this.
inline constexpr int64_t kMostOverrun = 64;

// Copies `pieces`, of which those of the first patch lie from `src` on. What
// lies from `dst` to `dst_end` may be overwritten too.
void CopyPieces(const Pieces& pieces, const char* src, const char* src_end,
                char* dst, const char* dst_end);

// Copies a patch that may cross the first or the last column of the image:
// patch `index` of `across`, pixels of `pixel` bytes, for each of `line_count`
// rows of `image`. Returns the end of what it wrote.
char* CopyBorderPatch(const Axis& across, int64_t index, int64_t pixel,
                      const char* image, const int64_t* lines,
                      int64_t line_count, const Constant& constant, char* dst);

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_PIECES_H_
