#include "geometry/patch_spec.h"

#include <string>

namespace tf_patches {
namespace {

std::string ToString(const std::vector<int32_t>& values) {
  std::string text = "[";
  for (size_t i = 0; i < values.size(); ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(values[i]);
  }
  return text + "]";
}

std::string Got(const std::vector<int32_t>& values) {
  return ", but got " + ToString(values) + ".";
}

// TensorFlow's kernel reads the first four entries and ignores any more.
std::optional<Error> CheckLength(const std::string& name,
                                 const std::vector<int32_t>& values) {
  if (values.size() >= 4) return std::nullopt;
  return WrongLength(name, values);
}

std::optional<Error> CheckValues(const std::string& name,
                                 const std::vector<int32_t>& values) {
  if (values[0] != 1 || values[3] != 1) {
    return Error{ErrorKind::kUnimplemented,
                 name +
                     " must be [1, rows, cols, 1], as batch and depth cannot "
                     "be cut into patches" +
                     Got(values)};
  }
  if (values[1] < 1 || values[2] < 1) return TooSmall(name, values);
  return std::nullopt;
}

}  // namespace

Error WrongLength(const std::string& name, const std::vector<int32_t>& values) {
  return {ErrorKind::kInvalidArgument,
          name + " must have 4 values, [1, rows, cols, 1]" + Got(values)};
}

Error TooSmall(const std::string& name, const std::vector<int32_t>& values) {
  return {ErrorKind::kOutOfRange,
          name + " must be at least 1 in rows and cols" + Got(values)};
}

std::optional<Error> ParsePatchSpec(const std::vector<int32_t>& sizes,
                                    const std::vector<int32_t>& strides,
                                    const std::vector<int32_t>& rates,
                                    Padding padding, PatchSpec* spec) {
  if (auto error = CheckLength("sizes", sizes)) return error;
  if (auto error = CheckLength("strides", strides)) return error;
  if (auto error = CheckLength("rates", rates)) return error;
  if (auto error = CheckValues("sizes", sizes)) return error;
  if (auto error = CheckValues("strides", strides)) return error;
  if (auto error = CheckValues("rates", rates)) return error;
  *spec = {{sizes[1], strides[1], rates[1]},
           {sizes[2], strides[2], rates[2]},
           padding};
  if (spec->rows.size * spec->cols.size > kInt32Max) {
    return Error{ErrorKind::kInvalidArgument,
                 "sizes " + ToString(sizes) +
                     " is too large: a patch would hold more than 2147483647 "
                     "pixels."};
  }
  if (spec->rows.EffectiveSize() > kInt32Max ||
      spec->cols.EffectiveSize() > kInt32Max) {
    return Error{ErrorKind::kInvalidArgument,
                 "rates " + ToString(rates) + " with sizes " + ToString(sizes) +
                     " is too large: a patch would span more than 2147483647 "
                     "pixels, (size - 1) * rate + 1."};
  }
  return std::nullopt;
}

}  // namespace tf_patches
