#include "xla/native_handlers.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "geometry/patch_grid.h"
#include "geometry/patch_spec.h"
#include "kernels/extract.h"
#include "kernels/fold.h"
#include "kernels/plan.h"
#include "memory/huge_pages.h"
#include "xla/ffi/api/ffi.h"
#include "xla/share_out.h"

namespace xla::ffi {
// Declared by xla/ffi/ffi_api.h, which would bring most of XLA with it.
const XLA_FFI_Api* GetXlaFfiApi();
}  // namespace xla::ffi

namespace tf_patches {

// What native_call.cc writes into a call.
struct CallAttributes {
  using Numbers = ::xla::ffi::Span<const int64_t>;  // of an AxisSpec
  Numbers planes, rows, cols;
  int64_t padding;
  int64_t border;
  ::xla::ffi::Span<const int8_t> constant;
};

}  // namespace tf_patches

XLA_FFI_REGISTER_STRUCT_ATTR_DECODING(
    ::tf_patches::CallAttributes,
    StructMember<::tf_patches::CallAttributes::Numbers>("planes"),
    StructMember<::tf_patches::CallAttributes::Numbers>("rows"),
    StructMember<::tf_patches::CallAttributes::Numbers>("cols"),
    StructMember<int64_t>("padding"), StructMember<int64_t>("border"),
    StructMember<Span<const int8_t>>("constant"));

namespace tf_patches {
namespace {

namespace ffi = ::xla::ffi;

AxisSpec ToAxisSpec(CallAttributes::Numbers n) {
  return {n[0], n[1], n[2], n[3], n[4]};
}

// The grid was made, and so checked, when the function was compiled.
ffi::Error ReadGrid(ffi::AnyBuffer images, const CallAttributes& attributes,
                    PatchGrid* grid) {
  const auto dimensions = images.dimensions();
  const PatchSpec spec = {
      static_cast<int>(dimensions.size()) - 2,
      {ToAxisSpec(attributes.planes), ToAxisSpec(attributes.rows),
       ToAxisSpec(attributes.cols)},
      static_cast<Padding>(attributes.padding),
      static_cast<Border>(attributes.border)};
  const Shape shape(dimensions.begin(), dimensions.end());
  if (auto error = MakePatchGrid(shape, spec, grid)) {
    return ffi::Error::Internal(error->message);
  }
  return ffi::Error::Success();
}

// XLA says where a result lies, which may be fresh memory.
void AdviseIfLarge(void* result, size_t bytes) {
  if (bytes >= kLargeBytes) AdviseHugePages(result, bytes);
}

// Shares `plan` out, which moves `bytes`.
void Run(ffi::ThreadPool& threads, const Plan& plan, int64_t bytes,
         ffi::AnyBuffer operand, ffi::AnyBuffer result) {
  const void* const from = operand.untyped_data();
  void* const to = result.untyped_data();
  AdviseIfLarge(to, result.size_bytes());
  ShareOut(threads, plan.units, bytes,
           [=](Range which) { plan.run(from, which, to); });
}

ffi::Error Extract(ffi::ThreadPool threads, ffi::AnyBuffer images,
                   ffi::Result<ffi::AnyBuffer> patches,
                   CallAttributes attributes) {
  PatchGrid grid;
  if (auto error = ReadGrid(images, attributes, &grid); error.failure()) {
    return error;
  }
  const std::string constant(attributes.constant.begin(),
                             attributes.constant.end());
  Run(threads,
      PlanExtraction(grid, ffi::ByteWidth(images.element_type()), constant),
      patches->size_bytes(), images, *patches);
  return ffi::Error::Success();
}

std::optional<Number> NumberOf(ffi::DataType type) {
  switch (type) {
    case ffi::BF16:
      return Number::kBFloat16;
    case ffi::F16:
      return Number::kHalf;
    case ffi::F32:
      return Number::kFloat;
    case ffi::F64:
      return Number::kDouble;
    case ffi::C64:
      return Number::kComplexFloat;
    case ffi::C128:
      return Number::kComplexDouble;
    case ffi::S8:
    case ffi::U8:
      return Number::kInt8;
    case ffi::S16:
    case ffi::U16:
      return Number::kInt16;
    case ffi::S32:
    case ffi::U32:
      return Number::kInt32;
    case ffi::S64:
    case ffi::U64:
      return Number::kInt64;
    default:
      return std::nullopt;
  }
}

ffi::Error Fold(ffi::ThreadPool threads, ffi::AnyBuffer patches,
                ffi::Result<ffi::AnyBuffer> images, CallAttributes attributes) {
  PatchGrid grid;
  if (auto error = ReadGrid(*images, attributes, &grid); error.failure()) {
    return error;
  }
  const std::optional<Number> number = NumberOf(images->element_type());
  if (!number) {
    return ffi::Error::InvalidArgument("fold_patches does not support bool.");
  }
  Run(threads, PlanFolding(grid, *number),
      std::max(images->size_bytes(), patches.size_bytes()), patches, *images);
  return ffi::Error::Success();
}

XLA_FFI_DEFINE_HANDLER(kExtract, Extract,
                       ffi::Ffi::Bind()
                           .Ctx<ffi::ThreadPool>()
                           .Arg<ffi::AnyBuffer>()
                           .Ret<ffi::AnyBuffer>()
                           .Attrs<CallAttributes>());

XLA_FFI_DEFINE_HANDLER(kFold, Fold,
                       ffi::Ffi::Bind()
                           .Ctx<ffi::ThreadPool>()
                           .Arg<ffi::AnyBuffer>()
                           .Ret<ffi::AnyBuffer>()
                           .Attrs<CallAttributes>());

// XLA calls its CPUs "Host".
XLA_FFI_REGISTER_HANDLER(ffi::GetXlaFfiApi(), kExtractHandler, "Host",
                         kExtract);
XLA_FFI_REGISTER_HANDLER(ffi::GetXlaFfiApi(), kFoldHandler, "Host", kFold);

}  // namespace
}  // namespace tf_patches
