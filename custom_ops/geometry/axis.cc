#include "geometry/axis.h"

#include <numeric>
#include <string>
#include <tuple>
#include <utility>

namespace tf_patches {
namespace {

// The number of patches. Like TensorFlow's GetWindowedOutputSize, negative if
// the request is invalid.
int64_t CountPatches(int64_t padded, const AxisSpec& spec, Padding padding) {
  const bool is_whole =
      padding == Padding::kValid || padding == Padding::kExplicit;
  const int64_t reach = is_whole ? spec.EffectiveSize() : 1;
  if (padded >= reach) return (padded - reach) / spec.stride + 1;
  if (!is_whole) return 0;
  return (padded - reach + spec.stride) / spec.stride;
}

int64_t PadBefore(int64_t image, int64_t count, const AxisSpec& spec,
                  Padding padding) {
  if (padding == Padding::kExplicit) return spec.before;
  if (padding == Padding::kValid || count == 0) return 0;
  const int64_t missing =
      (count - 1) * spec.stride - image + spec.EffectiveSize();
  return padding == Padding::kSame ? std::max<int64_t>(0, missing) / 2
                                   : missing / 2;
}

// The `x` in [0, modulus) with number * x == 1 modulo `modulus`, by Euclid's
// algorithm: `number` and `modulus` have no common divisor.
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

int64_t Modulo(int64_t a, int64_t b) { return a % b + (a % b < 0 ? b : 0); }

// Finds the taps that lie on a pixel, inside the image or not.
class TapFinder {
 public:
  explicit TapFinder(const Axis& axis)
      : axis_(axis),
        common_(std::gcd(axis.stride, axis.rate)),
        index_step_(axis.rate / common_),
        tap_step_(axis.stride / common_),
        unit_tap_(Inverse(index_step_, tap_step_)) {}

  // Adds them to `taps`, first patch first.
  void Find(int64_t pixel, std::vector<Tap>* taps) const {
    // Tap `tap` of patch `index` is on the pixel where
    // index * stride + tap * rate == distance.
    const int64_t distance = pixel + axis_.pad_before;
    if (distance < 0 || distance % common_ != 0) return;
    // Solutions are `tap_step_` taps apart; the first patch has the last tap.
    const int64_t least =
        distance / common_ % tap_step_ * unit_tap_ % tap_step_;
    const int64_t most = std::min(axis_.patch - 1, distance / axis_.rate);
    if (most < least) return;
    int64_t tap = most - (most - least) % tap_step_;
    int64_t index = (distance - tap * axis_.rate) / axis_.stride;
    for (; tap >= 0 && index < axis_.count; tap -= tap_step_) {
      taps->push_back({index, tap});
      index += index_step_;
    }
  }

 private:
  const Axis& axis_;
  const int64_t common_;
  const int64_t index_step_;  // from one patch over a pixel to the next
  const int64_t tap_step_;
  const int64_t unit_tap_;  // times index_step_ leaves 1, divided by tap_step_
};

// Calls `use` with the covered pixels that show `pixel`. Pixels outside repeat
// the image after `period` pixels, and mirror it about `mirror` / 2.
template <typename Use>
void ForEachPixelShowing(const Axis& axis, int64_t pixel, const Use& use) {
  const Range covered = axis.Covered();
  const auto repeat = [&](int64_t at, int64_t period) {
    const int64_t first = covered.begin + Modulo(at - covered.begin, period);
    for (int64_t p = first; p < covered.end; p += period) use(p);
  };
  const int64_t last = axis.image - 1;
  switch (axis.border) {
    case Border::kConstant:
      return use(pixel);
    case Border::kWrap:
      return repeat(pixel, axis.image);
    case Border::kSymmetric:
      repeat(pixel, 2 * axis.image);
      return repeat(-1 - pixel, 2 * axis.image);
    case Border::kReflect:
      if (last == 0) return repeat(0, 1);
      repeat(pixel, 2 * last);
      if (pixel > 0 && pixel < last) repeat(-pixel, 2 * last);
      return;
    case Border::kEdge:
      const int64_t begin = pixel == 0 ? std::min(covered.begin, pixel) : pixel;
      const int64_t end =
          pixel == last ? std::max(covered.end, pixel + 1) : pixel + 1;
      for (int64_t p = begin; p < end; ++p) use(p);
  }
}

}  // namespace

int64_t Axis::SourceOutside(int64_t pixel) const {
  const int64_t last = image - 1;
  switch (border) {
    case Border::kConstant:
      return -1;
    case Border::kEdge:
      return pixel < 0 ? 0 : last;
    case Border::kWrap:
      return Modulo(pixel, image);
    case Border::kSymmetric: {
      const int64_t at = Modulo(pixel, 2 * image);
      return at <= last ? at : 2 * image - 1 - at;
    }
    case Border::kReflect: {
      if (last == 0) return 0;
      const int64_t at = Modulo(pixel, 2 * last);
      return at <= last ? at : 2 * last - at;
    }
  }
  return -1;
}

Range Axis::Even() const {
  Range even = {std::max<int64_t>(0, EffectiveSize() - 1 - pad_before),
                std::min(image, count * stride - pad_before)};
  if (border == Border::kConstant || count == 0) return even;
  // No pixel further from both ends is shown outside.
  const Range covered = Covered();
  const int64_t reach = std::max(-covered.begin, covered.end - image);
  if (reach <= 0) return even;
  even.begin = std::max(even.begin, reach + 1);
  even.end = std::min(even.end, image - reach - 1);
  return even;
}

std::vector<Tap> Axis::TapsOver(int64_t pixel) const {
  std::vector<Tap> taps;
  if (count == 0) return taps;
  // If patches span much and have few taps, it is faster to search the taps.
  if (border != Border::kConstant && Covered().size() / image > count * patch) {
    for (int64_t index = 0; index < count; ++index) {
      for (int64_t tap = 0; tap < patch; ++tap) {
        if (Source(Pixel(index, tap)) == pixel) taps.push_back({index, tap});
      }
    }
    return taps;
  }
  const TapFinder finder(*this);
  ForEachPixelShowing(*this, pixel,
                      [&](int64_t at) { finder.Find(at, &taps); });
  std::sort(taps.begin(), taps.end(), [](const Tap& a, const Tap& b) {
    return std::pair(a.index, a.tap) < std::pair(b.index, b.tap);
  });
  return taps;
}

std::optional<Error> MakeAxis(const char* name, int64_t image,
                              const AxisSpec& spec, Padding padding,
                              Border border, Axis* axis) {
  if (image < 0) {
    return Error{ErrorKind::kInvalidArgument,
                 std::string("The image's ") + name +
                     " must not be negative, but got " + std::to_string(image) +
                     "."};
  }
  int64_t padded;
  if (__builtin_add_overflow(image, spec.before + spec.after, &padded)) {
    return Error{ErrorKind::kInvalidArgument,
                 "An image of " + std::to_string(image) + " " + name +
                     " with padding is too large."};
  }
  const int64_t count = CountPatches(padded, spec, padding);
  if (count < 0) {
    const bool is_valid = padding == Padding::kValid;
    return Error{
        ErrorKind::kInvalidArgument,
        "A patch of " + std::to_string(spec.EffectiveSize()) + " " + name +
            " (sizes " + std::to_string(spec.size) + ", rates " +
            std::to_string(spec.rate) + ") does not fit in an image of " +
            std::to_string(image) + " " + name + ", with strides " +
            std::to_string(spec.stride) + " and padding " +
            (is_valid
                 ? "VALID"
                 : ToString(std::vector<int64_t>{spec.before, spec.after})) +
            ". Use a smaller size or rate, or padding SAME."};
  }
  if (image == 0 && count > 0 && border != Border::kConstant) {
    return Error{ErrorKind::kInvalidArgument,
                 std::string("An image of 0 ") + name +
                     " has no pixels to show outside of it. Use mode "
                     "CONSTANT."};
  }
  *axis = {image,
           spec.size,
           spec.stride,
           spec.rate,
           PadBefore(image, count, spec, padding),
           count,
           border};
  return std::nullopt;
}

}  // namespace tf_patches
