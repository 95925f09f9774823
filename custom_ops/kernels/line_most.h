// Finds the largest or the smallest of the numbers that lines of patches hold
// for a part of a line of an image.
#ifndef TF_PATCHES_KERNELS_LINE_MOST_H_
#define TF_PATCHES_KERNELS_LINE_MOST_H_

#include <algorithm>
#include <cstdint>

#include "kernels/line_sum.h"
#include "kernels/patch_line.h"

namespace tf_patches {

// As LineSum. A NaN is more than any number; a pixel under no patch is zero.
template <typename T, bool kIsMax>
class LineMost {
 public:
  LineMost(const Block& block, T* line)
      : block_(block),
        out_(line + block.pixels.begin * block.depth + block.channels.begin) {
    for (int64_t x = 0; x < block.pixels.size(); ++x) {
      std::fill_n(out_ + x * block.depth, block.channels.size(), T());
    }
    std::fill_n(is_covered_, block.pixels.size(), false);
  }

  void Add(const PatchLine<T>& line) {
    ForEachPixels(line, block_.pixels, [&](const Pixels& pixels) {
      const T* const values = line.values + block_.channels.begin;
      for (int64_t i = 0; i < pixels.count; ++i) {
        const int64_t stored = pixels.stored + i * pixels.step;
        const int64_t at = pixels.pixel + i * pixels.rate;
        Take(values + stored * block_.depth, is_covered_[at],
             out_ + at * block_.depth);
        is_covered_[at] = true;
      }
    });
  }

  void Finish() {}

 private:
  void Take(const T* from, bool is_covered, T* to) const {
    const int64_t channels = block_.channels.size();
    if (!is_covered) {
      std::copy_n(from, channels, to);
      return;
    }
    for (int64_t d = 0; d < channels; ++d) {
      const auto ours = static_cast<Wide<T>>(from[d]);
      const auto theirs = static_cast<Wide<T>>(to[d]);
      const bool wins =
          ours != ours || (kIsMax ? ours > theirs : ours < theirs);
      to[d] = wins ? from[d] : to[d];
    }
  }

  const Block block_;
  T* const out_;
  bool is_covered_[kBlockValues<T>];
};

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_LINE_MOST_H_
