#include "geometry/patch_grid.h"

#include <limits>
#include <numeric>
#include <string>

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

}  // namespace

Cover Axis::Over(int64_t pixel) const {
  const int64_t divisor = std::gcd(stride, rate);
  const int64_t index_step = rate / divisor;
  const int64_t tap_step = stride / divisor;
  const Cover none = {0, 0, 0, index_step, tap_step};
  // Tap `tap` of patch `index` is on the pixel where
  // index * stride + tap * rate == distance. The first patch has the last tap.
  const int64_t distance = pixel + pad_before;
  int64_t tap = std::min(patch - 1, distance / rate);
  if (rate == 1) {
    tap -= (stride - (distance - tap) % stride) % stride;
  } else {
    const int64_t lowest = std::max<int64_t>(0, tap - tap_step + 1);
    while (tap >= lowest && (distance - tap * rate) % stride != 0) --tap;
    if (tap < lowest) return none;
  }
  const int64_t index = (distance - tap * rate) / stride;
  if (tap < 0 || index >= count) return none;
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
                 "Computed output size would be negative: with padding VALID, "
                 "patches of " +
                     std::to_string(spec.EffectiveSize()) + " " + name +
                     " (sizes " + std::to_string(spec.size) + ", rates " +
                     std::to_string(spec.rate) + ") and strides " +
                     std::to_string(spec.stride) +
                     " do not fit in an image of " + std::to_string(image) +
                     " " + name + "."};
  }
  int64_t pad_before = 0;
  if (padding == Padding::kSame && count > 0) {
    const int64_t covered = (count - 1) * spec.stride;
    pad_before =
        std::max<int64_t>(0, covered - image + spec.EffectiveSize()) / 2;
  }
  *axis = {image, spec.size, spec.stride, spec.rate, pad_before, count};
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
