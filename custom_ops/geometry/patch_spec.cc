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

// TensorFlow's kernel reads the first four entries and ignores any more.
std::optional<Error> CheckAttribute(const std::string& name,
                                    const std::vector<int32_t>& values) {
  const std::string got = ", but got " + ToString(values) + ".";
  if (values.size() < 4) {
    return Error{ErrorKind::kInvalidArgument,
                 name + " must have 4 values, [1, rows, cols, 1]" + got};
  }
  if (values[0] != 1 || values[3] != 1) {
    return Error{ErrorKind::kUnimplemented,
                 "Only " + name +
                     " across space are supported: it must be "
                     "[1, rows, cols, 1]" +
                     got};
  }
  if (values[1] < 1 || values[2] < 1) {
    return Error{
        ErrorKind::kOutOfRange,
        name + " is out of range: rows and cols must be at least 1" + got};
  }
  return std::nullopt;
}

}  // namespace

std::optional<Error> ParsePatchSpec(const std::vector<int32_t>& sizes,
                                    const std::vector<int32_t>& strides,
                                    const std::vector<int32_t>& rates,
                                    Padding padding, PatchSpec* spec) {
  if (auto error = CheckAttribute("sizes", sizes)) return error;
  if (auto error = CheckAttribute("strides", strides)) return error;
  if (auto error = CheckAttribute("rates", rates)) return error;
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
