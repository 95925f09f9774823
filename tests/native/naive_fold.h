// Folds a value at a time, with the arithmetic of kernels/number.h (which
// number_test.cc checks).
#ifndef TF_PATCHES_TESTS_NATIVE_NAIVE_FOLD_H_
#define TF_PATCHES_TESTS_NATIVE_NAIVE_FOLD_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include "kernels/number.h"
#include "kernels/reduce.h"
#include "kernels/weights.h"

namespace tf_patches {

template <typename T>
std::vector<char> BytesOf(const std::vector<T>& values) {
  const char* const bytes = reinterpret_cast<const char*>(values.data());
  return std::vector<char>(bytes, bytes + values.size() * sizeof(T));
}

// `for_each(visit)` calls `visit(tap, pixel)` for each pixel of each patch in
// the order of additions: with its number as patches are stored, and the pixel
// of the images that it lies on, negative if none.
template <typename T, typename ForEach>
class NaiveFold {
 public:
  NaiveFold(int64_t pixels, int64_t depth, const T* patches,
            const ForEach& for_each)
      : pixels_(pixels),
        depth_(depth),
        patches_(patches),
        for_each_(for_each) {}

  // Rounded to T at every addition.
  std::vector<char> Sum() const {
    std::vector<T> sums(pixels_ * depth_);
    for_each_([&](int64_t tap, int64_t pixel) {
      for (int64_t d = 0; d < depth_ && pixel >= 0; ++d) {
        T& sum = sums[pixel * depth_ + d];
        sum = Add(sum, patches_[tap * depth_ + d]);
      }
    });
    return BytesOf(sums);
  }

  // `weigh(tap)` is the weight of a tap; it may be missing.
  std::vector<char> WeightedSum(const std::function<Wide<T>(int64_t)>& weigh,
                                bool is_mean) const {
    const Wide<T> zero{};
    std::vector<Wide<T>> sums(pixels_ * depth_), weights(pixels_);
    for_each_([&](int64_t tap, int64_t pixel) {
      const Wide<T> weight = weigh ? weigh(tap) : Wide<T>(1);
      if (pixel < 0 || weight == zero) return;
      weights[pixel] = Add(weights[pixel], weight);
      for (int64_t d = 0; d < depth_; ++d) {
        const auto value = static_cast<Wide<T>>(patches_[tap * depth_ + d]);
        Wide<T>& sum = sums[pixel * depth_ + d];
        sum = Add(sum, weigh ? Multiply(weight, value) : value);
      }
    });
    std::vector<T> images(sums.size());
    for (size_t i = 0; i < sums.size(); ++i) {
      const Wide<T> weight = is_mean ? weights[i / depth_] : Wide<T>(1);
      if (weight == zero) continue;
      images[i] = static_cast<T>(is_mean ? Quotient(sums[i], weight) : sums[i]);
    }
    return BytesOf(images);
  }

  std::vector<char> Most(bool is_max) const {
    std::vector<T> images(pixels_ * depth_);
    std::vector<char> is_covered(pixels_);
    for_each_([&](int64_t tap, int64_t pixel) {
      for (int64_t d = 0; d < depth_ && pixel >= 0; ++d) {
        const T value = patches_[tap * depth_ + d];
        T& most = images[pixel * depth_ + d];
        const auto a = static_cast<Wide<T>>(value);
        const auto b = static_cast<Wide<T>>(most);
        const bool is_nan = !(a == a);
        const bool is_better = is_max ? a > b : a < b;
        if (!is_covered[pixel] || is_nan || is_better) most = value;
      }
      if (pixel >= 0) is_covered[pixel] = true;
    });
    return BytesOf(images);
  }

 private:
  const int64_t pixels_;
  const int64_t depth_;
  const T* const patches_;
  const ForEach& for_each_;
};

// How images of `cols` columns are cut for sums and extremes: a part of a line
// is a unit of work.
template <typename T>
struct Parts {
  Parts(int64_t cols, int64_t depth)
      : cols(cols),
        depth(depth),
        width(std::clamp<int64_t>(kBlockValues<T> / depth, 1, cols)),
        count((cols + width - 1) / width) {}

  // The first byte of a unit.
  int64_t Begin(int64_t unit) const {
    const int64_t col = std::min(cols, unit % count * width);
    return (unit / count * cols + col) * depth *
           static_cast<int64_t>(sizeof(T));
  }

  int64_t cols;
  int64_t depth;
  int64_t width;
  int64_t count;
};

}  // namespace tf_patches

#endif  // TF_PATCHES_TESTS_NATIVE_NAIVE_FOLD_H_
