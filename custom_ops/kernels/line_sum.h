// Sums lines of patches in a part of a line of an image.
#ifndef TF_PATCHES_KERNELS_LINE_SUM_H_
#define TF_PATCHES_KERNELS_LINE_SUM_H_

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "kernels/instructions.h"
#include "kernels/number.h"
#include "kernels/patch_line.h"
#include "kernels/weights.h"

namespace tf_patches {

// A part of a line of an image: pixels, and of each of them channels.
struct Block {
  Range pixels;
  Range channels;
  int64_t depth;
};

// Numbers of type T that are reduced at once, so that they stay in the
// first-level cache.
template <typename T>
inline constexpr int64_t kBlockValues = (16 << 10) / sizeof(Wide<T>);

// Sums of fewer are made sooner than vectors are set up.
inline constexpr int64_t kFewValues = 32;

// Sums, or means, of the numbers of a block, made in Acc. `kIsMean` sums
// weights too. `out` is the line of the image.
template <typename T, typename Acc, bool kIsMean>
class LineSum {
 public:
  LineSum(const Block& block, T* line)
      : block_(block),
        out_(line + block.pixels.begin * block.depth + block.channels.begin),
        step_(kIsInPlace ? block.depth : block.channels.size()) {
    if constexpr (kIsInPlace) {
      acc_ = out_;
    } else {
      acc_ = scratch_;
    }
    for (int64_t x = 0; x < block.pixels.size(); ++x) {
      std::fill_n(acc_ + x * step_, block.channels.size(), Acc());
    }
    if (kIsMean) std::fill_n(sums_, block.pixels.size(), Acc());
  }

  void Add(const PatchLine<T>& line) {
    ForEachPixels(line, block_.pixels, [&](const Pixels& pixels) {
      const T* const values = line.values + block_.channels.begin;
      if (pixels.count * block_.channels.size() < kFewValues) {
        return AddPixels(values, line.weights, pixels);
      }
      WithWidestVectors([&](auto) { AddPixels(values, line.weights, pixels); });
    });
  }

  // Makes the block's numbers of the sums.
  void Finish() {
    if constexpr (kIsMean) {
      WithWidestVectors([&](auto) {
        Store([this](Acc sum, int64_t x) {
          const Acc mean = Quotient(sum, sums_[x]);
          return sums_[x] == Acc() ? Acc() : mean;
        });
      });
    } else if constexpr (!kIsInPlace) {
      Store([](Acc sum, int64_t) { return sum; });
    }
  }

 private:
  static constexpr bool kIsInPlace = std::is_same_v<T, Acc>;

  template <int kDepth>
  using Depth = std::integral_constant<int, kDepth>;

  void AddPixels(const T* values, const LineWeights<T>& weights,
                 const Pixels& pixels) {
    if (weights.cols == nullptr) return AddPlain(values, pixels);
    if constexpr (std::is_same_v<Acc, Wide<T>>) {
      const int64_t depth = block_.channels.size();
      if (!pixels.are_side_by_side() || depth != block_.depth) {
        return AddWeighted(Depth<0>(), values, weights, pixels);
      }
      const Pixels near = {pixels.count, pixels.stored, 1, pixels.pixel, 1};
      switch (depth) {
        case 1:
          return AddWeighted(Depth<1>(), values, weights, near);
        case 2:
          return AddWeighted(Depth<2>(), values, weights, near);
        case 3:
          return AddWeighted(Depth<3>(), values, weights, near);
        case 4:
          return AddWeighted(Depth<4>(), values, weights, near);
        case 8:
          return AddWeighted(Depth<8>(), values, weights, near);
        default:
          return AddWeighted(Depth<0>(), values, weights, near);
      }
    }
  }

  // With kDepth channels that lie side by side, or, if that is 0, as many as
  // the block has.
  template <int kDepth>
  void AddWeighted(Depth<kDepth>, const T* values,
                   const LineWeights<T>& weights, const Pixels& pixels) {
    const int64_t depth = kDepth > 0 ? kDepth : block_.channels.size();
    const int64_t from_step = kDepth > 0 ? kDepth : block_.depth;
    const int64_t to_step = kDepth > 0 ? kDepth : step_;
    const T* __restrict const from = values + pixels.stored * from_step;
    const T* __restrict const factors = weights.cols + pixels.stored;
    Acc* __restrict const to = acc_ + pixels.pixel * to_step;
    Acc* __restrict const sums = sums_ + pixels.pixel;
    const Acc scale = weights.scale;
    for (int64_t i = 0; i < pixels.count; ++i) {
      const int64_t stored = i * pixels.step;
      const int64_t at = i * pixels.rate;
      const Acc weight = Multiply(scale, static_cast<Acc>(factors[stored]));
      if (kIsMean) sums[at] = tf_patches::Add(sums[at], weight);
      const bool counts = !(weight == Acc());
      for (int64_t d = 0; d < depth; ++d) {
        const Acc product =
            Multiply(weight, static_cast<Acc>(from[stored * from_step + d]));
        Acc& sum = to[at * to_step + d];
        sum = tf_patches::Add(sum, counts ? product : Acc());
      }
    }
  }

  void AddPlain(const T* values, const Pixels& pixels) {
    if (kIsMean) {
      Acc* const sums = sums_ + pixels.pixel;
      for (int64_t i = 0; i < pixels.count; ++i) {
        sums[i * pixels.rate] = tf_patches::Add(sums[i * pixels.rate], Acc(1));
      }
    }
    const T* const from = values + pixels.stored * block_.depth;
    Acc* const to = acc_ + pixels.pixel * step_;
    const int64_t depth = block_.channels.size();
    if (pixels.are_side_by_side() && depth == block_.depth) {
      return AddRun(from, pixels.count * depth, to);
    }
    for (int64_t i = 0; i < pixels.count; ++i) {
      AddRun(from + i * pixels.step * block_.depth, depth,
             to + i * pixels.rate * step_);
    }
  }

  static void AddRun(const T* __restrict from, int64_t count,
                     Acc* __restrict to) {
    for (int64_t i = 0; i < count; ++i) {
      to[i] = tf_patches::Add(to[i], static_cast<Acc>(from[i]));
    }
  }

  template <typename Value>
  void Store(const Value& value) {
    for (int64_t x = 0; x < block_.pixels.size(); ++x) {
      for (int64_t d = 0; d < block_.channels.size(); ++d) {
        out_[x * block_.depth + d] =
            static_cast<T>(value(acc_[x * step_ + d], x));
      }
    }
  }

  const Block block_;
  T* const out_;
  const int64_t step_;  // from the sums of a pixel to those of the next
  Acc* acc_;
  Acc scratch_[kIsInPlace ? 1 : kBlockValues<T>];
  Acc sums_[kIsMean ? kBlockValues<T> : 1];  // of weights
};

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_LINE_SUM_H_
