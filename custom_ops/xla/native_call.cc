#include "xla/native_call.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "ffi/handlers.h"
#include "xla/hlo/builder/lib/constants.h"
#include "xla/hlo/builder/xla_builder.h"
#include "xla/shape_util.h"
#include "xla/xla_data.pb.h"

namespace tf_patches {
namespace {

// As the handlers read them.
std::string ListAttribute(const char* name,
                          const std::vector<int64_t>& numbers) {
  return absl::StrCat(name, " = array<i64: ", absl::StrJoin(numbers, ", "),
                      ">, ");
}

std::string IntegerAttribute(const char* name, int64_t number) {
  return absl::StrCat(name, " = ", number, " : i64, ");
}

// What all calls have at the end.
std::string Rest(Border border, Reduction reduction,
                 const std::string& constant) {
  const auto number = [](std::string* text, char byte) {
    absl::StrAppend(text, static_cast<int>(static_cast<signed char>(byte)));
  };
  return absl::StrCat(
      IntegerAttribute("border", static_cast<int64_t>(border)),
      IntegerAttribute("reduction", static_cast<int64_t>(reduction)),
      "constant = array<i8", constant.empty() ? "" : ": ",
      absl::StrJoin(constant, ", ", number), ">");
}

std::string ToAttributes(const PatchSpec& spec, Reduction reduction,
                         const std::string& constant) {
  std::string text = "{";
  for (int i = 0; i < kMostAxes; ++i) {
    const AxisSpec& axis = spec.axis[i];
    text += ListAttribute(kAxisNames[i], {axis.size, axis.stride, axis.rate,
                                          axis.before, axis.after});
  }
  return absl::StrCat(
      text, IntegerAttribute("padding", static_cast<int64_t>(spec.padding)),
      Rest(spec.border, reduction, constant), "}");
}

std::string ToAttributes(const Placement& placement, Reduction reduction,
                         const std::string& constant) {
  std::vector<int64_t> sizes, rates;
  for (int i = kMostAxes - placement.axes; i < kMostAxes; ++i) {
    sizes.push_back(placement.axis[i].patch);
    rates.push_back(placement.axis[i].rate);
  }
  return absl::StrCat(
      "{", ListAttribute("sizes", sizes), ListAttribute("rates", rates),
      Rest(placement.axis[kMostAxes - 1].border, reduction, constant), "}");
}

// Row-major: XLA would otherwise choose how tensors lie in memory.
xla::Shape ToShape(xla::PrimitiveType type, absl::Span<const int64_t> shape) {
  return xla::ShapeUtil::MakeShapeWithDescendingLayout(type, shape);
}

xla::XlaOp Call(const char* handler, const std::string& attributes,
                const std::vector<xla::XlaOp>& operands,
                const xla::Shape& shape) {
  xla::XlaBuilder* const builder = operands[0].builder();
  std::vector<xla::Shape> shapes;
  for (const xla::XlaOp operand : operands) {
    const auto own = builder->GetShape(operand);
    if (!own.ok()) return builder->ReportError(own.status());
    shapes.push_back(ToShape(own->element_type(), own->dimensions()));
  }
  return xla::CustomCallWithLayout(
      builder, handler, operands, shape, shapes, attributes,
      /*has_side_effect=*/false,
      /*output_operand_aliasing=*/{}, /*literal=*/nullptr,
      xla::CustomCallSchedule::SCHEDULE_NONE,
      xla::CustomCallApiVersion::API_VERSION_TYPED_FFI);
}

// What is missing is an empty vector of `type`.
xla::XlaOp OrEmpty(std::optional<xla::XlaOp> op, xla::XlaBuilder* builder,
                   xla::PrimitiveType type) {
  return op ? *op : xla::Broadcast(xla::Zero(builder, type), {0});
}

}  // namespace

xla::XlaOp CallExtractPatches(const PatchSpec& spec, const PatchGrid& grid,
                              xla::PrimitiveType type,
                              const std::string& constant, xla::XlaOp images) {
  return Call(kExtractHandler, ToAttributes(spec, Reduction::kSum, constant),
              {images}, ToShape(type, grid.patches_shape()));
}

xla::XlaOp CallFoldPatches(const PatchSpec& spec, const PatchGrid& grid,
                           xla::PrimitiveType type, xla::XlaOp patches) {
  return Call(kFoldHandler, ToAttributes(spec, Reduction::kSum, ""), {patches},
              ToShape(type, grid.image_shape()));
}

xla::XlaOp CallFoldWeightedPatches(const PatchSpec& spec, const PatchGrid& grid,
                                   xla::PrimitiveType type, Reduction reduction,
                                   std::optional<xla::XlaOp> weights,
                                   xla::XlaOp patches) {
  return Call(kFoldWeightedHandler, ToAttributes(spec, reduction, ""),
              {patches, OrEmpty(weights, patches.builder(), type)},
              ToShape(type, grid.image_shape()));
}

xla::XlaOp CallExtractPatchesAt(const Placement& placement,
                                xla::PrimitiveType type,
                                const std::string& constant, xla::XlaOp images,
                                const PlaceOps& places) {
  return Call(kExtractAtHandler,
              ToAttributes(placement, Reduction::kSum, constant),
              {images, places.positions,
               OrEmpty(places.flips, images.builder(), xla::PRED)},
              ToShape(type, placement.patches_shape()));
}

xla::XlaOp CallFoldPatchesAt(const Placement& placement,
                             xla::PrimitiveType type, Reduction reduction,
                             xla::XlaOp patches, const PlaceOps& places,
                             const WeightOps& weights) {
  xla::XlaBuilder* const builder = patches.builder();
  return Call(
      kFoldAtHandler, ToAttributes(placement, reduction, ""),
      {patches, places.positions, OrEmpty(places.flips, builder, xla::PRED),
       OrEmpty(weights.window, builder, type),
       OrEmpty(weights.profiles, builder, type)},
      ToShape(type, placement.image_shape()));
}

}  // namespace tf_patches
