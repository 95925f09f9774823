#include "xla/native_handlers.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "geometry/patch_grid.h"
#include "geometry/patch_spec.h"
#include "kernels/extract.h"
#include "kernels/fold.h"
#include "memory/huge_pages.h"
#include "xla/ffi/api/ffi.h"
#include "xla/share_out.h"

namespace xla::ffi {
// Declared by xla/ffi/ffi_api.h, which would bring most of XLA with it.
const XLA_FFI_Api* GetXlaFfiApi();
}  // namespace xla::ffi

namespace tf_patches {
namespace {

namespace ffi = ::xla::ffi;
using Numbers = ffi::Span<const int64_t>;

AxisSpec ToAxisSpec(Numbers axis) { return {axis[0], axis[1], axis[2]}; }

// The grid was made, and so checked, when the function was compiled.
ffi::Error ReadGrid(ffi::AnyBuffer images, Numbers rows, Numbers cols,
                    bool same, PatchGrid* grid) {
  const PatchSpec spec = {ToAxisSpec(rows), ToAxisSpec(cols),
                          same ? Padding::kSame : Padding::kValid};
  std::array<int64_t, 4> shape;
  std::copy_n(images.dimensions().begin(), 4, shape.begin());
  if (auto error = MakePatchGrid(shape, spec, grid)) {
    return ffi::Error::Internal(error->message);
  }
  return ffi::Error::Success();
}

// XLA says where a result lies, which may be fresh memory.
void AdviseIfLarge(void* result, size_t bytes) {
  if (bytes >= kLargeBytes) AdviseHugePages(result, bytes);
}

ffi::Error Extract(ffi::ThreadPool threads, ffi::AnyBuffer images,
                   ffi::Result<ffi::AnyBuffer> patches, Numbers rows,
                   Numbers cols, bool same) {
  PatchGrid grid;
  if (auto error = ReadGrid(images, rows, cols, same, &grid); error.failure()) {
    return error;
  }
  const Extraction extract =
      PlanExtraction(grid, ffi::ByteWidth(images.element_type()));
  const void* const from = images.untyped_data();
  void* const to = patches->untyped_data();
  AdviseIfLarge(to, patches->size_bytes());
  ShareOut(threads, grid.patch_count(), patches->size_bytes(),
           [=](Range which) { extract(from, which, to); });
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
                ffi::Result<ffi::AnyBuffer> images, Numbers rows, Numbers cols,
                bool same) {
  PatchGrid grid;
  if (auto error = ReadGrid(*images, rows, cols, same, &grid);
      error.failure()) {
    return error;
  }
  const std::optional<Number> number = NumberOf(images->element_type());
  if (!number) {
    return ffi::Error::InvalidArgument("fold_patches does not support bool.");
  }
  const Folding fold = PlanFolding(grid, *number);
  const void* const from = patches.untyped_data();
  void* const to = images->untyped_data();
  AdviseIfLarge(to, images->size_bytes());
  ShareOut(threads, grid.image_rows(),
           std::max(images->size_bytes(), patches.size_bytes()),
           [=](Range which) { fold(from, which, to); });
  return ffi::Error::Success();
}

XLA_FFI_DEFINE_HANDLER(kExtract, Extract,
                       ffi::Ffi::Bind()
                           .Ctx<ffi::ThreadPool>()
                           .Arg<ffi::AnyBuffer>()
                           .Ret<ffi::AnyBuffer>()
                           .Attr<Numbers>("rows")
                           .Attr<Numbers>("cols")
                           .Attr<bool>("same"));

XLA_FFI_DEFINE_HANDLER(kFold, Fold,
                       ffi::Ffi::Bind()
                           .Ctx<ffi::ThreadPool>()
                           .Arg<ffi::AnyBuffer>()
                           .Ret<ffi::AnyBuffer>()
                           .Attr<Numbers>("rows")
                           .Attr<Numbers>("cols")
                           .Attr<bool>("same"));

// XLA calls its CPUs "Host".
XLA_FFI_REGISTER_HANDLER(ffi::GetXlaFfiApi(), kExtractHandler, "Host",
                         kExtract);
XLA_FFI_REGISTER_HANDLER(ffi::GetXlaFfiApi(), kFoldHandler, "Host", kFold);

}  // namespace
}  // namespace tf_patches
