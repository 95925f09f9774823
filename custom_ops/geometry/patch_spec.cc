#include "geometry/patch_spec.h"

#include <algorithm>
#include <string>

namespace tf_patches {
namespace {

using Values = std::vector<int64_t>;

std::string Got(const Values& values) {
  return ", but got " + ToString(values) + ".";
}

// "rows and cols"
std::string AxesText(int axes) {
  std::string text;
  for (int i = kMostAxes - axes; i < kMostAxes; ++i) {
    const bool is_last = i == kMostAxes - 1;
    if (!text.empty()) text += is_last ? " and " : ", ";
    text += kAxisNames[i];
  }
  return text;
}

// "[1, rows, cols, 1]"
std::string ListText(int axes) {
  std::string text = "[1, ";
  for (int i = kMostAxes - axes; i < kMostAxes; ++i) {
    text += std::string(kAxisNames[i]) + ", ";
  }
  return text + "1]";
}

// TensorFlow's kernels read only the first four or five entries, but all
// entries must fit in 32 bits.
std::optional<Error> CheckList(const std::string& name, const Values& values,
                               int axes) {
  for (const int64_t value : values) {
    if (-kInt32Max - 1 <= value && value <= kInt32Max) continue;
    return Error{ErrorKind::kInvalidArgument,
                 name + " must hold integers of 32 bits" + Got(values)};
  }
  const auto length = static_cast<int>(values.size());
  if (length == axes + 2 || (axes > 1 && length > axes + 2)) {
    return std::nullopt;
  }
  return WrongLength(name, values, axes);
}

std::optional<Error> CheckValues(const std::string& name, const Values& values,
                                 int axes) {
  if (values[0] != 1 || values[axes + 1] != 1) {
    return Error{ErrorKind::kUnimplemented,
                 name + " must be " + ListText(axes) +
                     ", as batch and depth cannot be cut into patches" +
                     Got(values)};
  }
  if (*std::min_element(&values[1], &values[axes + 1]) < 1) {
    return TooSmall(name, values, axes);
  }
  return std::nullopt;
}

std::optional<Error> CheckPaddings(const PatchAttributes& attributes,
                                   int axes) {
  const Values& values = attributes.explicit_paddings;
  if (attributes.padding != Padding::kExplicit) {
    if (values.empty()) return std::nullopt;
    return Error{ErrorKind::kInvalidArgument,
                 "explicit_paddings must be empty unless padding is EXPLICIT" +
                     Got(values)};
  }
  const int length = 2 * (axes + 2);
  if (static_cast<int>(values.size()) != length) {
    return Error{ErrorKind::kInvalidArgument,
                 "padding must have " + std::to_string(axes + 2) +
                     " pairs of pixels before and after an axis, those of "
                     "batch, " +
                     AxesText(axes) + " and depth" + Got(values)};
  }
  if (values[0] != 0 || values[1] != 0 || values[length - 2] != 0 ||
      values[length - 1] != 0) {
    return Error{ErrorKind::kUnimplemented,
                 "padding must be [0, 0] for batch and depth" + Got(values)};
  }
  for (const int64_t value : values) {
    if (0 <= value && value <= kInt32Max) continue;
    return Error{ErrorKind::kInvalidArgument,
                 "padding must be from 0 to 2147483647 pixels" + Got(values)};
  }
  return std::nullopt;
}

std::optional<Error> CheckExtent(const PatchAttributes& attributes,
                                 const PatchSpec& spec) {
  int64_t pixels = 1;
  bool is_too_large = false;
  bool is_too_wide = false;
  for (const AxisSpec& axis : spec.axis) {
    is_too_large |= __builtin_mul_overflow(pixels, axis.size, &pixels);
    is_too_wide |= axis.EffectiveSize() > kInt32Max;
  }
  if (is_too_large || pixels > kInt32Max) {
    return Error{ErrorKind::kInvalidArgument,
                 "sizes " + ToString(attributes.sizes) +
                     " is too large: a patch would hold more than 2147483647 "
                     "pixels."};
  }
  if (is_too_wide) {
    return Error{ErrorKind::kInvalidArgument,
                 "rates " + ToString(attributes.rates) + " with sizes " +
                     ToString(attributes.sizes) +
                     " is too large: a patch would span more than 2147483647 "
                     "pixels, (size - 1) * rate + 1."};
  }
  return std::nullopt;
}

}  // namespace

int CountAxes(int dims, const PatchAttributes& attributes) {
  if (3 <= dims && dims <= kMostAxes + 2) return dims - 2;
  return std::clamp<int>(attributes.sizes.size() - 2, 1, kMostAxes);
}

Error WrongLength(const std::string& name, const Values& values, int axes) {
  return {ErrorKind::kInvalidArgument,
          name + " must have " + std::to_string(axes + 2) + " values, " +
              ListText(axes) + Got(values)};
}

Error TooSmall(const std::string& name, const Values& values, int axes) {
  return {ErrorKind::kOutOfRange,
          name + " must be at least 1 in " + AxesText(axes) + Got(values)};
}

std::optional<Error> ParsePatchSpec(const PatchAttributes& attributes, int axes,
                                    PatchSpec* spec) {
  const auto& [sizes, strides, rates, padding, paddings, border] = attributes;
  if (auto error = CheckList("sizes", sizes, axes)) return error;
  if (auto error = CheckList("strides", strides, axes)) return error;
  if (auto error = CheckList("rates", rates, axes)) return error;
  if (auto error = CheckValues("sizes", sizes, axes)) return error;
  if (auto error = CheckValues("strides", strides, axes)) return error;
  if (auto error = CheckValues("rates", rates, axes)) return error;
  if (auto error = CheckPaddings(attributes, axes)) return error;
  *spec = {axes, {}, padding, border};
  for (int i = 1; i <= axes; ++i) {
    AxisSpec& axis = spec->axis[kMostAxes - 1 - axes + i];
    axis.size = sizes[i];
    axis.stride = strides[i];
    axis.rate = rates[i];
    if (padding != Padding::kExplicit) continue;
    axis.before = paddings[2 * i];
    axis.after = paddings[2 * i + 1];
  }
  return CheckExtent(attributes, *spec);
}

}  // namespace tf_patches
