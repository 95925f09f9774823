#include "xla/native_call.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "xla/hlo/builder/xla_builder.h"
#include "xla/native_handlers.h"
#include "xla/shape_util.h"
#include "xla/xla_data.pb.h"

namespace tf_patches {
namespace {

// As the handlers read them.
std::string ToAttributes(const PatchSpec& spec, const std::string& constant) {
  std::string text = "{";
  for (int i = 0; i < kMostAxes; ++i) {
    const AxisSpec& axis = spec.axis[i];
    absl::StrAppend(&text, kAxisNames[i], " = array<i64: ", axis.size, ", ",
                    axis.stride, ", ", axis.rate, ", ", axis.before, ", ",
                    axis.after, ">, ");
  }
  const auto number = [](std::string* text, char byte) {
    absl::StrAppend(text, static_cast<int>(static_cast<signed char>(byte)));
  };
  absl::StrAppend(&text, "padding = ", static_cast<int>(spec.padding),
                  " : i64, border = ", static_cast<int>(spec.border),
                  " : i64, constant = array<i8", constant.empty() ? "" : ": ",
                  absl::StrJoin(constant, ", ", number), ">}");
  return text;
}

// Row-major: XLA would otherwise choose how tensors lie in memory.
xla::Shape ToShape(xla::PrimitiveType type, const Shape& shape) {
  return xla::ShapeUtil::MakeShapeWithDescendingLayout(type, shape);
}

xla::XlaOp Call(const char* handler, const std::string& attributes,
                xla::XlaOp operand, const xla::Shape& operand_shape,
                const xla::Shape& shape) {
  return xla::CustomCallWithLayout(
      operand.builder(), handler, {operand}, shape, {operand_shape}, attributes,
      /*has_side_effect=*/false,
      /*output_operand_aliasing=*/{}, /*literal=*/nullptr,
      xla::CustomCallSchedule::SCHEDULE_NONE,
      xla::CustomCallApiVersion::API_VERSION_TYPED_FFI);
}

}  // namespace

xla::XlaOp CallExtractPatches(const PatchSpec& spec, const PatchGrid& grid,
                              xla::PrimitiveType type,
                              const std::string& constant, xla::XlaOp images) {
  return Call(kExtractHandler, ToAttributes(spec, constant), images,
              ToShape(type, grid.image_shape()),
              ToShape(type, grid.patches_shape()));
}

xla::XlaOp CallFoldPatches(const PatchSpec& spec, const PatchGrid& grid,
                           xla::PrimitiveType type, xla::XlaOp patches) {
  return Call(kFoldHandler, ToAttributes(spec, ""), patches,
              ToShape(type, grid.patches_shape()),
              ToShape(type, grid.image_shape()));
}

}  // namespace tf_patches
