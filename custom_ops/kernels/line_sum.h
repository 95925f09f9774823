// Sums lines of patches in a part of a line of an image.
#ifndef TF_PATCHES_KERNELS_LINE_SUM_H_
#define TF_PATCHES_KERNELS_LINE_SUM_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "kernels/instructions.h"
#include "kernels/number.h"
#include "kernels/patch_line.h"
#include "kernels/weights.h"

namespace tf_patches {

// A part of a line of an image: some pixels, and some channels of each pixel.
struct Block {
  Range pixels;
  Range channels;
  int64_t depth;
};

// How many numbers of type T are reduced together and stay in the first-level
// cache.
template <typename T>
inline constexpr int64_t kBlockValues = (16 << 10) / sizeof(Wide<T>);

// With fewer numbers, sums take less time than setting up vectors.
inline constexpr int64_t kFewValues = 32;

// Makes all of a block `value`; `first` is its first number, and pixels are
// `step` apart.
template <typename T>
void Fill(const Block& block, int64_t step, T value, T* first) {
  const int64_t pixels = block.pixels.size();
  const int64_t channels = block.channels.size();
  if (channels == step) {
    std::fill_n(first, pixels * channels, value);
    return;
  }
  for (int64_t x = 0; x < pixels; ++x) {
    std::fill_n(first + x * step, channels, value);
  }
}

// Sums, or means, of the numbers of a block, made in Acc. `kIsMean` sums
// weights too. `out` is the line of the image. line_sum.cc compiles it, for all
// who use it, for each of the numbers that can be summed.
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
    Fill(block, step_, Acc(), acc_);
    if (kIsMean) std::fill_n(sums_, block.pixels.size(), Acc());
  }

  void Add(const PatchLine<T>& line);

  // Makes the numbers of the block from the sums.
  void Finish();

 private:
  static constexpr bool kIsInPlace = std::is_same_v<T, Acc>;

  template <int kDepth>
  using Depth = std::integral_constant<int, kDepth>;

  // Calls `use` with the Depth of pixels whose channels lie side by side, for
  // numbers of them that have code of their own, and else with Depth<0>: what
  // people weight is float or double, and code for more takes long to compile.
  template <typename Use>
  void WithDepth(int64_t step, const Use& use) const {
    if constexpr (!std::is_floating_point_v<T>) return use(Depth<0>());
    const int64_t depth = block_.channels.size();
    switch (depth == step ? depth : 0) {
      case 2:
        return use(Depth<2>());
      case 3:
        return use(Depth<3>());
      case 4:
        return use(Depth<4>());
      case 8:
        return use(Depth<8>());
      default:
        return use(Depth<0>());
    }
  }

  void AddPixels(const T* values, const LineWeights<T>& weights,
                 const Pixels& pixels) {
    if (weights.cols == nullptr) return AddPlain(values, pixels);
    if constexpr (std::is_same_v<Acc, Wide<T>>) {
      if (!pixels.are_side_by_side()) {
        return AddWeighted(Depth<0>(), values, weights, pixels);
      }
      const Pixels near = {pixels.count, pixels.stored, 1, pixels.pixel, 1};
      if (block_.depth == 1) return AddSingles(values, weights, near);
      WithDepth(block_.depth,
                [&](auto depth) { AddWeighted(depth, values, weights, near); });
    }
  }

  // Pixels of one channel, side by side: compilers make vectors of them.
  void AddSingles(const T* values, const LineWeights<T>& weights,
                  const Pixels& pixels) {
    const T* __restrict const from = values + pixels.stored;
    const T* __restrict const factors = weights.cols + pixels.stored;
    Acc* __restrict const to = acc_ + pixels.pixel;
    Acc* __restrict const sums = sums_ + pixels.pixel;
    const Acc scale = weights.scale;
    for (int64_t i = 0; i < pixels.count; ++i) {
      const Acc weight = Multiply(scale, static_cast<Acc>(factors[i]));
      const Acc product = Multiply(weight, static_cast<Acc>(from[i]));
      if (kIsMean) sums[i] = tf_patches::Add(sums[i], weight);
      to[i] = tf_patches::Add(to[i], weight == Acc() ? Acc() : product);
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
    for (int64_t i = 0; i < pixels.count; ++i) {
      const int64_t stored = pixels.stored + i * pixels.step;
      const int64_t at = pixels.pixel + i * pixels.rate;
      const Acc weight =
          Multiply(weights.scale, static_cast<Acc>(weights.cols[stored]));
      if (weight == Acc()) continue;
      if (kIsMean) sums_[at] = tf_patches::Add(sums_[at], weight);
      AddProducts<kDepth>(values + stored * from_step, weight, depth,
                          acc_ + at * to_step);
    }
  }

  template <int kDepth>
  static void AddProducts(const T* __restrict from, Acc weight, int64_t depth,
                          Acc* __restrict to) {
    if constexpr (std::is_same_v<T, Acc> && std::is_floating_point_v<T> &&
                  kDepth > 0 && (kDepth & (kDepth - 1)) == 0) {
      // Compilers use no vectors here unless they are told to.
      typedef T Vector [[gnu::vector_size(kDepth * sizeof(T))]];
      Vector values, sums;
      std::memcpy(&values, from, sizeof(Vector));
      std::memcpy(&sums, to, sizeof(Vector));
      sums += values * weight;
      std::memcpy(to, &sums, sizeof(Vector));
    } else {
      for (int64_t d = 0; d < depth; ++d) {
        to[d] =
            tf_patches::Add(to[d], Multiply(weight, static_cast<Acc>(from[d])));
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

  // A pixel without weight is zero.
  void DivideSingles() {
    for (int64_t x = 0; x < block_.pixels.size(); ++x) {
      const Acc mean = Quotient(acc_[x], sums_[x]);
      acc_[x] = sums_[x] == Acc() ? Acc() : mean;
    }
  }

  template <int kDepth>
  void Divide(Depth<kDepth>) {
    const int64_t depth = kDepth > 0 ? kDepth : block_.channels.size();
    const int64_t step = kDepth > 0 ? kDepth : step_;
    for (int64_t x = 0; x < block_.pixels.size(); ++x) {
      Acc* const to = acc_ + x * step;
      const Acc sum = sums_[x];
      if (sum == Acc()) {
        std::fill_n(to, depth, Acc());
        continue;
      }
      for (int64_t d = 0; d < depth; ++d) to[d] = Quotient(to[d], sum);
    }
  }

  void Store() {
    for (int64_t x = 0; x < block_.pixels.size(); ++x) {
      for (int64_t d = 0; d < block_.channels.size(); ++d) {
        out_[x * block_.depth + d] = static_cast<T>(acc_[x * step_ + d]);
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
