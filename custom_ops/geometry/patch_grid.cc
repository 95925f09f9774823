#include "geometry/patch_grid.h"

#include <limits>
#include <numeric>
#include <string>
#include <tuple>
#include <utility>

namespace tf_patches {
namespace {

constexpr int64_t kMaxElements = std::numeric_limits<int64_t>::max() / 16;

std::string ToString(const std::array<int64_t, 4>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(shape[i]);
  }
  return text + "]";
}

// Multiplies from the left, as TensorFlow's shapes do: a zero saves only what
// comes after it.
bool Fits(const std::array<int64_t, 4>& shape) {
  int64_t elements = 1;
  for (const int64_t dim : shape) {
    if (__builtin_mul_overflow(elements, dim, &elements)) return false;
  }
  return elements <= kMaxElements;
}

// The number of patches, as TensorFlow's GetWindowedOutputSize counts them;
// negative where it calls the request invalid.
int64_t CountPatches(int64_t image, const AxisSpec& spec, Padding padding) {
  const int64_t reach = padding == Padding::kSame ? 1 : spec.EffectiveSize();
  if (image >= reach) return (image - reach) / spec.stride + 1;
  if (padding == Padding::kSame) return 0;
  return (image - reach + spec.stride) / spec.stride;
}

// The `x` of [0, modulus) for which number * x leaves 1, or 0 where the modulus
// is 1, when divided by `modulus`: by Euclid's algorithm, as they have no
// common divisor.
int64_t Inverse(int64_t number, int64_t modulus) {
  int64_t a = modulus, b = number % modulus;
  int64_t x = 0, y = 1;  // number * x leaves a, number * y leaves b
  while (b > 0) {
    const int64_t times = a / b;
    std::tie(a, b) = std::pair(b, a % b);
    std::tie(x, y) = std::pair(y, x - times * y);
  }
  return (x + modulus) % modulus;
}

}  // namespace

Cover Axis::Over(int64_t pixel) const {
  const Cover none = {0, 0, 0, index_step, tap_step};
  // Tap `tap` of patch `index` is on the pixel where
  // index * stride + tap * rate == distance.
  const int64_t distance = pixel + pad_before;
  if (distance % common != 0) return none;
  // The taps that solve this are `tap_step` apart; the first patch has the
  // last.
  const int64_t least = distance / common % tap_step * unit_tap % tap_step;
  const int64_t most = std::min(patch - 1, distance / rate);
  if (most < least) return none;
  const int64_t tap = most - (most - least) % tap_step;
  const int64_t index = (distance - tap * rate) / stride;
  if (index >= count) return none;
  const int64_t by_tap = tap / tap_step;
  const int64_t by_index = (count - 1 - index) / index_step;
  return {index, tap, std::min(by_tap, by_index) + 1, index_step, tap_step};
}

std::optional<Error> MakeAxis(const char* name, int64_t image,
                              const AxisSpec& spec, Padding padding,
                              Axis* axis) {
  if (image < 0) {
    return Error{ErrorKind::kInvalidArgument,
                 std::string("The image's ") + name +
                     " must not be negative, but got " + std::to_string(image) +
                     "."};
  }
  const int64_t count = CountPatches(image, spec, padding);
  if (count < 0) {
    return Error{ErrorKind::kInvalidArgument,
                 "A patch of " + std::to_string(spec.EffectiveSize()) + " " +
                     name + " (sizes " + std::to_string(spec.size) +
                     ", rates " + std::to_string(spec.rate) +
                     ") does not fit in an image of " + std::to_string(image) +
                     " " + name + ", with strides " +
                     std::to_string(spec.stride) +
                     " and padding VALID. Use a smaller size or rate, or "
                     "padding SAME."};
  }
  int64_t pad_before = 0;
  if (padding == Padding::kSame && count > 0) {
    const int64_t covered = (count - 1) * spec.stride;
    pad_before =
        std::max<int64_t>(0, covered - image + spec.EffectiveSize()) / 2;
  }
  const int64_t common = std::gcd(spec.stride, spec.rate);
  const int64_t index_step = spec.rate / common;
  const int64_t tap_step = spec.stride / common;
  *axis = {
      image, spec.size, spec.stride, spec.rate, pad_before,
      count, common,    index_step,  tap_step,  Inverse(index_step, tap_step)};
  return std::nullopt;
}

std::optional<Error> MakePatchGrid(const std::array<int64_t, 4>& image_shape,
                                   const PatchSpec& spec, PatchGrid* grid) {
  const auto [batch, rows, cols, depth] = image_shape;
  if (std::min({batch, rows, cols, depth}) < 0) {
    return Error{ErrorKind::kInvalidArgument,
                 "image_shape must not be negative, but got " +
                     ToString(image_shape) + "."};
  }
  grid->batch = batch;
  grid->depth = depth;
  if (auto e = MakeAxis("rows", rows, spec.rows, spec.padding, &grid->rows)) {
    return e;
  }
  if (auto e = MakeAxis("cols", cols, spec.cols, spec.padding, &grid->cols)) {
    return e;
  }
  int64_t patch_depth;
  if (__builtin_mul_overflow(spec.rows.size * spec.cols.size, depth,
                             &patch_depth) ||
      patch_depth > kInt32Max) {
    return Error{
        ErrorKind::kInvalidArgument,
        "sizes is too large: a patch of " + std::to_string(spec.rows.size) +
            " rows, " + std::to_string(spec.cols.size) + " cols and depth " +
            std::to_string(depth) + " holds more than 2147483647 values."};
  }
  if (!Fits(image_shape) || !Fits(grid->patches_shape())) {
    return Error{ErrorKind::kInvalidArgument,
                 "Images of shape " + ToString(image_shape) +
                     " would have patches of shape " +
                     ToString(grid->patches_shape()) +
                     ", more than can be addressed."};
  }
  return std::nullopt;
}

}  // namespace tf_patches
