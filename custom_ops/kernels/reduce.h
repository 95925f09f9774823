// Chooses how numbers are reduced, and shares a line of an image out in blocks.
#ifndef TF_PATCHES_KERNELS_REDUCE_H_
#define TF_PATCHES_KERNELS_REDUCE_H_

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "kernels/line_most.h"
#include "kernels/line_sum.h"
#include "kernels/number.h"
#include "kernels/number_kind.h"
#include "kernels/weights.h"

namespace tf_patches {

template <typename T>
struct NumberType {
  using Type = T;
};

// Calls `use` with the NumberType of `number`, which is real. Integers become
// unsigned, because sums have the same bits.
template <typename Use>
auto WithReal(Number number, const Use& use) {
  switch (number) {
    case Number::kBFloat16:
      return use(NumberType<BFloat16>());
    case Number::kHalf:
      return use(NumberType<Half>());
    case Number::kFloat:
      return use(NumberType<float>());
    case Number::kDouble:
      return use(NumberType<double>());
    case Number::kInt8:
    case Number::kUint8:
      return use(NumberType<uint8_t>());
    case Number::kInt16:
    case Number::kUint16:
      return use(NumberType<uint16_t>());
    case Number::kInt32:
    case Number::kUint32:
      return use(NumberType<uint32_t>());
    default:
      return use(NumberType<uint64_t>());
  }
}

// As WithReal, for complex numbers too.
template <typename Use>
auto WithSummed(Number number, const Use& use) {
  switch (number) {
    case Number::kComplexFloat:
      return use(NumberType<Complex<float>>());
    case Number::kComplexDouble:
      return use(NumberType<Complex<double>>());
    default:
      return WithReal(number, use);
  }
}

// As WithReal, with signs.
template <typename Use>
auto WithCompared(Number number, const Use& use) {
  switch (number) {
    case Number::kInt8:
      return use(NumberType<int8_t>());
    case Number::kInt16:
      return use(NumberType<int16_t>());
    case Number::kInt32:
      return use(NumberType<int32_t>());
    case Number::kInt64:
      return use(NumberType<int64_t>());
    default:
      return WithReal(number, use);
  }
}

// Whether there is a mean of numbers of type T.
template <typename T>
inline constexpr bool kHasMean = !std::is_integral_v<T>;

// The blocks of a line of an image, of which all pixels have `depth` numbers.
template <typename T>
struct Blocks {
  Blocks(int64_t cols, int64_t depth)
      : cols(cols),
        depth(depth),
        pixels(std::clamp<int64_t>(kBlockValues<T> / depth, 1, cols)),
        count((cols - 1) / pixels + 1) {}

  // Reduces the blocks `which`, counted over all lines, to numbers of `images`,
  // as a Reducer does. `add_lines` adds to it the lines of patches over a line
  // of the images, on the pixels that it is given.
  template <typename Reducer, typename AddLines>
  void Reduce(Range which, void* images, const AddLines& add_lines) const {
    for (int64_t unit = which.begin; unit < which.end; ++unit) {
      const int64_t line = unit / count;
      const int64_t index = unit % count;
      const Range block = {index * pixels,
                           std::min(cols, (index + 1) * pixels)};
      for (int64_t first = 0; first < depth; first += kBlockValues<T>) {
        const Range channels = {first,
                                std::min(depth, first + kBlockValues<T>)};
        Reducer reducer({block, channels, depth},
                        static_cast<T*>(images) + line * cols * depth);
        add_lines(line, block, &reducer);
        reducer.Finish();
      }
    }
  }

  int64_t cols;
  int64_t depth;
  int64_t pixels;
  int64_t count;
};

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_REDUCE_H_
