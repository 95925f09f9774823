#include "xla/native_call.h"

#include <array>
#include <string>

#include "absl/strings/str_cat.h"
#include "xla/hlo/builder/xla_builder.h"
#include "xla/native_handlers.h"
#include "xla/shape_util.h"
#include "xla/xla_data.pb.h"

namespace tf_patches {
namespace {

std::string ToAttributes(const PatchSpec& spec) {
  const auto axis = [](const AxisSpec& axis) {
    return absl::StrCat("array<i64: ", axis.size, ", ", axis.stride, ", ",
                        axis.rate, ">");
  };
  return absl::StrCat(
      "{rows = ", axis(spec.rows), ", cols = ", axis(spec.cols),
      ", same = ", spec.padding == Padding::kSame ? "true" : "false", "}");
}

// Row-major: XLA would otherwise choose how tensors lie in memory.
xla::Shape ToShape(xla::PrimitiveType type,
                   const std::array<int64_t, 4>& shape) {
  return xla::ShapeUtil::MakeShapeWithDescendingLayout(type, shape);
}

xla::XlaOp Call(const char* handler, const PatchSpec& spec, xla::XlaOp operand,
                const xla::Shape& operand_shape, const xla::Shape& shape) {
  return xla::CustomCallWithLayout(
      operand.builder(), handler, {operand}, shape, {operand_shape},
      ToAttributes(spec), /*has_side_effect=*/false,
      /*output_operand_aliasing=*/{}, /*literal=*/nullptr,
      xla::CustomCallSchedule::SCHEDULE_NONE,
      xla::CustomCallApiVersion::API_VERSION_TYPED_FFI);
}

}  // namespace

xla::XlaOp CallExtractPatches(const PatchSpec& spec, const PatchGrid& grid,
                              xla::PrimitiveType type, xla::XlaOp images) {
  return Call(kExtractHandler, spec, images, ToShape(type, grid.image_shape()),
              ToShape(type, grid.patches_shape()));
}

xla::XlaOp CallFoldPatches(const PatchSpec& spec, const PatchGrid& grid,
                           xla::PrimitiveType type, xla::XlaOp patches) {
  return Call(kFoldHandler, spec, patches, ToShape(type, grid.patches_shape()),
              ToShape(type, grid.image_shape()));
}

}  // namespace tf_patches
