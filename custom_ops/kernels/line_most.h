// Finds the largest or the smallest of the numbers that lines of patches hold
// for a part of a line of an image.
#ifndef TF_PATCHES_KERNELS_LINE_MOST_H_
#define TF_PATCHES_KERNELS_LINE_MOST_H_

#include <algorithm>
#include <cstdint>
#include <limits>

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
    Fill(block, block.depth, static_cast<T>(Least()), out_);
    std::fill_n(is_covered_, block.pixels.size(), false);
  }

  void Add(const PatchLine<T>& line) {
    ForEachPixels(line, block_.pixels, [&](const Pixels& pixels) {
      for (int64_t i = 0; i < pixels.count; ++i) {
        is_covered_[pixels.pixel + i * pixels.rate] = true;
      }
      const T* const from =
          line.values + block_.channels.begin + pixels.stored * block_.depth;
      T* const to = out_ + pixels.pixel * block_.depth;
      const int64_t channels = block_.channels.size();
      if (pixels.are_side_by_side() && channels == block_.depth) {
        return Take(from, pixels.count * channels, to);
      }
      for (int64_t i = 0; i < pixels.count; ++i) {
        Take(from + i * pixels.step * block_.depth, channels,
             to + i * pixels.rate * block_.depth);
      }
    });
  }

  void Finish() {
    for (int64_t x = 0; x < block_.pixels.size(); ++x) {
      if (is_covered_[x]) continue;
      std::fill_n(out_ + x * block_.depth, block_.channels.size(), T());
    }
  }

 private:
  // The number that any other number replaces.
  static Wide<T> Least() {
    using Limits = std::numeric_limits<Wide<T>>;
    if (Limits::has_infinity) {
      return kIsMax ? -Limits::infinity() : Limits::infinity();
    }
    return kIsMax ? Limits::lowest() : Limits::max();
  }

  static void Take(const T* __restrict from, int64_t count, T* __restrict to) {
    for (int64_t i = 0; i < count; ++i) {
      const auto ours = static_cast<Wide<T>>(from[i]);
      const auto theirs = static_cast<Wide<T>>(to[i]);
      const bool is_better = kIsMax ? ours > theirs : ours < theirs;
      to[i] = is_better || ours != ours ? from[i] : to[i];
    }
  }

  const Block block_;
  T* const out_;
  bool is_covered_[kBlockValues<T>];
};

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_LINE_MOST_H_
