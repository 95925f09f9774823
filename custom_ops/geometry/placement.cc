#include "geometry/placement.h"

#include <algorithm>
#include <string>

namespace tf_patches {
namespace {

constexpr int64_t kFurthest = int64_t{1} << 62;

std::optional<Error> CheckIntegers(const char* name,
                                   const std::vector<int64_t>& values,
                                   int axes) {
  if (static_cast<int>(values.size()) != axes) {
    return Error{ErrorKind::kInvalidArgument,
                 std::string(name) +
                     " must have an integer for each axis of space, of which "
                     "sizes has " +
                     std::to_string(axes) + ", but got " + ToString(values) +
                     "."};
  }
  for (const int64_t value : values) {
    if (value < 1) {
      return Error{ErrorKind::kOutOfRange, std::string(name) +
                                               " must be at least 1, but got " +
                                               ToString(values) + "."};
    }
    if (value > kInt32Max) {
      return Error{ErrorKind::kInvalidArgument,
                   std::string(name) +
                       " must be integers of 32 bits, but got " +
                       ToString(values) + "."};
    }
  }
  return std::nullopt;
}

// "[planes, rows, cols]", of the axes that there are.
std::string Names(int axes, const std::string& first, const std::string& last) {
  std::string text = "[" + first;
  for (int i = kMostAxes - axes; i < kMostAxes; ++i) {
    text += (text.size() > 1 ? ", " : "") + std::string(kAxisNames[i]);
  }
  return text + last + "]";
}

}  // namespace

Shape Placement::image_shape() const {
  Shape shape = {batch};
  for (int i = kMostAxes - axes; i < kMostAxes; ++i) {
    shape.push_back(axis[i].image);
  }
  shape.push_back(depth);
  return shape;
}

Shape Placement::patches_shape() const {
  Shape shape = {batch, count};
  for (int i = kMostAxes - axes; i < kMostAxes; ++i) {
    shape.push_back(axis[i].patch);
  }
  shape.push_back(depth);
  return shape;
}

std::optional<Error> CheckPlacement(const PlacementAttributes& attributes) {
  const int axes = attributes.axes();
  if (axes < 1 || axes > kMostAxes) {
    return Error{ErrorKind::kInvalidArgument,
                 "sizes must have 1 to 3 integers, one for each axis of space, "
                 "but got " +
                     ToString(attributes.sizes) + "."};
  }
  if (auto error = CheckIntegers("sizes", attributes.sizes, axes)) return error;
  if (auto error = CheckIntegers("rates", attributes.rates, axes)) return error;
  int64_t pixels = 1;
  for (int i = 0; i < axes; ++i) {
    const int64_t size = attributes.sizes[i];
    const int64_t span = (size - 1) * attributes.rates[i] + 1;
    if (__builtin_mul_overflow(pixels, size, &pixels) || pixels > kInt32Max) {
      return Error{ErrorKind::kInvalidArgument,
                   "sizes is too large: a patch of " +
                       ToString(attributes.sizes) +
                       " holds more than 2147483647 values."};
    }
    if (span > kInt32Max) {
      return Error{ErrorKind::kInvalidArgument,
                   "sizes " + ToString(attributes.sizes) + " at rates " +
                       ToString(attributes.rates) +
                       " span more than 2147483647 pixels."};
    }
  }
  return std::nullopt;
}

std::optional<Error> MakePlacement(const Shape& image_shape, int64_t count,
                                   const PlacementAttributes& attributes,
                                   Placement* placement) {
  if (auto error = CheckPlacement(attributes)) return error;
  if (*std::min_element(image_shape.begin(), image_shape.end()) < 0) {
    return Error{ErrorKind::kInvalidArgument,
                 "image_shape must not be negative, but got " +
                     ToString(image_shape) + "."};
  }
  placement->batch = image_shape.front();
  placement->count = count;
  placement->axes = attributes.axes();
  placement->depth = image_shape.back();
  placement->axis = {};
  for (int k = 0; k < placement->axes; ++k) {
    Axis& axis = placement->axis[kMostAxes - placement->axes + k];
    axis.image = image_shape[k + 1];
    axis.patch = attributes.sizes[k];
    axis.rate = attributes.rates[k];
    axis.border = attributes.border;
    if (axis.image == 0 && count > 0 && placement->batch > 0 &&
        axis.border != Border::kConstant) {
      return Error{ErrorKind::kInvalidArgument,
                   "An image of shape " + ToString(image_shape) +
                       " has no pixels to show outside of it. Use mode "
                       "CONSTANT."};
    }
  }
  int64_t values = placement->depth;
  bool is_large = false;
  for (const int64_t size : attributes.sizes) {
    is_large |= __builtin_mul_overflow(values, size, &values);
  }
  if (is_large || values > kInt32Max) {
    return Error{ErrorKind::kInvalidArgument,
                 "sizes is too large: a patch of " +
                     ToString(attributes.sizes) + " and depth " +
                     std::to_string(placement->depth) +
                     " holds more than 2147483647 values."};
  }
  // A line has a length even if there is no line.
  Shape lines = image_shape;
  std::replace(lines.begin(), lines.end(), int64_t{0}, int64_t{1});
  if (!CanBeAddressed(lines)) {
    return Error{ErrorKind::kInvalidArgument,
                 "Images of shape " + ToString(image_shape) +
                     " are more than can be addressed."};
  }
  if (!CanBeAddressed(placement->patches_shape())) {
    return Error{ErrorKind::kInvalidArgument,
                 "Images of shape " + ToString(image_shape) +
                     " would have patches of shape " +
                     ToString(placement->patches_shape()) +
                     ", more than can be addressed."};
  }
  return std::nullopt;
}

std::optional<Error> CheckPlaceShapes(const Placement& placement,
                                      const Shape& positions,
                                      const Shape& flips) {
  const Shape of_all = {placement.count, placement.axes};
  const Shape of_each = {placement.batch, placement.count, placement.axes};
  if (positions != of_all && positions != of_each) {
    return WrongPositions(placement.axes, ShapeToString(positions));
  }
  if (IsMissing(flips) || flips == of_all || flips == of_each) {
    return std::nullopt;
  }
  return WrongFlips(ShapeToString(positions), ShapeToString(flips));
}

std::optional<Error> CheckWeightShapes(const Placement& placement,
                                       const Shape& window,
                                       const Shape& profiles) {
  Shape sizes;
  int64_t factors = 0;
  for (int i = kMostAxes - placement.axes; i < kMostAxes; ++i) {
    sizes.push_back(placement.axis[i].patch);
    factors += placement.axis[i].patch;
  }
  if (!IsMissing(window) && !IsMissing(profiles)) {
    return Error{ErrorKind::kInvalidArgument,
                 "weights must be a window or its factors by axis, not both."};
  }
  if (!IsMissing(window) && window != sizes) {
    return WrongWeights(sizes, ShapeToString(window));
  }
  if (IsMissing(profiles) || profiles == Shape{1, factors} ||
      profiles == Shape{placement.count, factors}) {
    return std::nullopt;
  }
  return WrongProfiles(sizes, ShapeToString(profiles));
}

std::optional<Error> CheckPlaces(const Placement& placement) {
  for (size_t n = 0; n < placement.places.size(); ++n) {
    for (const int64_t at : placement.places[n].position) {
      if (-kFurthest < at && at < kFurthest) continue;
      const auto count = static_cast<size_t>(placement.count);
      return Error{ErrorKind::kInvalidArgument,
                   "positions must lie within 2^62 pixels of the image, but "
                   "patch " +
                       std::to_string(n % count) + " of image " +
                       std::to_string(n / count) + " lies at " +
                       std::to_string(at) + "."};
    }
  }
  return std::nullopt;
}

Error WrongPositions(int axes, const std::string& shape) {
  return {ErrorKind::kInvalidArgument,
          "positions must be [count, " + std::to_string(axes) +
              "], or [batch, count, " + std::to_string(axes) +
              "] with the batch of the images, a " + Names(axes, "", "") +
              " for each patch, but got shape " + shape + "."};
}

Error WrongFlips(const std::string& positions, const std::string& shape) {
  return {ErrorKind::kInvalidArgument,
          "flips must have a bool for each number of positions, whose shape "
          "is " +
              positions + ", but got shape " + shape + "."};
}

Error WrongPlacedPatches(int axes, const std::string& shape) {
  return {ErrorKind::kInvalidArgument,
          "patches must be " + std::to_string(axes + 3) + "-dimensional, " +
              Names(axes, "batch, count", ", depth") + ", but got shape " +
              shape + "."};
}

Error WrongWeights(const std::vector<int64_t>& sizes,
                   const std::string& shape) {
  return {ErrorKind::kInvalidArgument,
          "weights must have the shape of a patch without its depth, " +
              ToString(sizes) + ", but got shape " + shape + "."};
}

Error WrongProfiles(const std::vector<int64_t>& sizes,
                    const std::string& shape) {
  int64_t sum = 0;
  for (const int64_t size : sizes) sum += size;
  return {ErrorKind::kInvalidArgument, "weights by axis must be [1 or count, " +
                                           std::to_string(sum) +
                                           "], but got shape " + shape + "."};
}

}  // namespace tf_patches
