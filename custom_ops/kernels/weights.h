// The weights of the values of patches in sums.
#ifndef TF_PATCHES_KERNELS_WEIGHTS_H_
#define TF_PATCHES_KERNELS_WEIGHTS_H_

#include <array>
#include <cstdint>
#include <type_traits>

#include "geometry/patch_spec.h"
#include "kernels/number.h"

namespace tf_patches {

enum class Reduction { kSum, kMean, kMax, kMin };

inline bool IsExtreme(Reduction reduction) {
  return reduction == Reduction::kMax || reduction == Reduction::kMin;
}

// A window with a number for each pixel of a patch, the same for all patches.
// Or the factors of windows along each axis, one axis after the other, for each
// patch or for all patches. Or nothing.
struct Weights {
  const void* window = nullptr;
  const void* profiles = nullptr;
  bool has_profile_each = false;  // not one for all

  bool exist() const { return window != nullptr || profiles != nullptr; }
};

// The type in which numbers of type T are weighted.
template <typename T>
struct WideOf {
  using Type = T;
};
template <>
struct WideOf<Half> {
  using Type = float;
};
template <>
struct WideOf<BFloat16> {
  using Type = float;
};
template <typename T>
using Wide = typename WideOf<T>::Type;

// The weights of a line of a patch: `scale` times those at `cols`.
template <typename T>
struct LineWeights {
  const T* cols;  // null if all are 1
  Wide<T> scale;
};

// Finds the weights of a patch's lines, of which it has `lines` of `sizes`.
template <typename T>
class WeightsByLine {
 public:
  WeightsByLine(const Weights& weights,
                const std::array<int64_t, kMostAxes>& sizes, int axes)
      : window_(static_cast<const T*>(weights.window)),
        profiles_(static_cast<const T*>(weights.profiles)),
        rows_(sizes[1]),
        cols_(sizes[2]) {
    // Where the factors of each axis begin. A missing axis has no factors.
    for (int i = kMostAxes - axes; i < kMostAxes; ++i) {
      begin_[i] = profile_;
      profile_ += sizes[i];
    }
    each_ = weights.has_profile_each ? profile_ : 0;
  }

  // Those of line `line` of patch `k` of an image.
  LineWeights<T> operator()(int64_t k, int64_t line) const {
    if (window_ != nullptr) return {window_ + line * cols_, Wide<T>(1)};
    if (profiles_ == nullptr) return {nullptr, Wide<T>(1)};
    const T* const profile = profiles_ + k * each_;
    Wide<T> scale(1);
    if (begin_[0] >= 0) {
      scale = static_cast<Wide<T>>(profile[begin_[0] + line / rows_]);
    }
    if (begin_[1] >= 0) {
      scale = Multiply(scale,
                       static_cast<Wide<T>>(profile[begin_[1] + line % rows_]));
    }
    return {profile + begin_[2], scale};
  }

 private:
  const T* const window_;
  const T* const profiles_;
  const int64_t rows_;
  const int64_t cols_;
  std::array<int64_t, kMostAxes> begin_ = {-1, -1, -1};
  int64_t profile_ = 0;
  int64_t each_ = 0;
};

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_WEIGHTS_H_
