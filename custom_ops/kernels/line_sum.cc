#include "kernels/line_sum.h"

#include <cstdint>

#include "kernels/instructions.h"
#include "kernels/number.h"
#include "kernels/patch_line.h"
#include "kernels/weights.h"

namespace tf_patches {

template <typename T, typename Acc, bool kIsMean>
void LineSum<T, Acc, kIsMean>::Add(const PatchLine<T>& line) {
  ForEachPixels(line, block_.pixels, [&](const Pixels& pixels) {
    const T* const values = line.values + block_.channels.begin;
    if (pixels.count * block_.channels.size() < kFewValues) {
      return AddPixels(values, line.weights, pixels);
    }
    WithWidestVectors([&](auto) { AddPixels(values, line.weights, pixels); });
  });
}

template <typename T, typename Acc, bool kIsMean>
void LineSum<T, Acc, kIsMean>::Finish() {
  if constexpr (kIsMean) {
    WithWidestVectors([&](auto) {
      if (block_.channels.size() == 1 && step_ == 1) return DivideSingles();
      WithDepth(step_, [&](auto depth) { Divide(depth); });
    });
  }
  if constexpr (!kIsInPlace) Store();
}

#define TF_PATCHES_LINE_SUM(T, ACC, IS_MEAN)                        \
  template void LineSum<T, ACC, IS_MEAN>::Add(const PatchLine<T>&); \
  template void LineSum<T, ACC, IS_MEAN>::Finish()

TF_PATCHES_LINE_SUM(BFloat16, BFloat16, false);
TF_PATCHES_LINE_SUM(Half, Half, false);
TF_PATCHES_LINE_SUM(BFloat16, Wide<BFloat16>, false);
TF_PATCHES_LINE_SUM(Half, Wide<Half>, false);
TF_PATCHES_LINE_SUM(float, Wide<float>, false);
TF_PATCHES_LINE_SUM(double, Wide<double>, false);
TF_PATCHES_LINE_SUM(Complex<float>, Wide<Complex<float>>, false);
TF_PATCHES_LINE_SUM(Complex<double>, Wide<Complex<double>>, false);
TF_PATCHES_LINE_SUM(uint8_t, Wide<uint8_t>, false);
TF_PATCHES_LINE_SUM(uint16_t, Wide<uint16_t>, false);
TF_PATCHES_LINE_SUM(uint32_t, Wide<uint32_t>, false);
TF_PATCHES_LINE_SUM(uint64_t, Wide<uint64_t>, false);
TF_PATCHES_LINE_SUM(BFloat16, Wide<BFloat16>, true);
TF_PATCHES_LINE_SUM(Half, Wide<Half>, true);
TF_PATCHES_LINE_SUM(float, Wide<float>, true);
TF_PATCHES_LINE_SUM(double, Wide<double>, true);
TF_PATCHES_LINE_SUM(Complex<float>, Wide<Complex<float>>, true);
TF_PATCHES_LINE_SUM(Complex<double>, Wide<Complex<double>>, true);

}  // namespace tf_patches
