#include "ffi/handlers.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ffi/share_out.h"
#include "geometry/patch_grid.h"
#include "geometry/patch_spec.h"
#include "geometry/placement.h"
#include "kernels/extract.h"
#include "kernels/extract_at.h"
#include "kernels/fold.h"
#include "kernels/fold_at.h"
#include "kernels/fold_weighted.h"
#include "kernels/plan.h"
#include "kernels/weights.h"
#include "memory/huge_pages.h"
#include "tsl/platform/denormal.h"
#include "xla/ffi/api/ffi.h"

namespace xla::ffi {
// Declared by xla/ffi/ffi_api.h, which would bring most of XLA with it.
const XLA_FFI_Api* GetXlaFfiApi();
}  // namespace xla::ffi

namespace tf_patches {

// What native_call.cc writes into a call.
using Numbers = ::xla::ffi::Span<const int64_t>;
using Bytes = ::xla::ffi::Span<const int8_t>;

struct CallAttributes {
  Numbers planes, rows, cols;  // of an AxisSpec
  int64_t padding;
  int64_t border;
  int64_t reduction;
  Bytes constant;
};

struct PlacedCallAttributes {
  Numbers sizes, rates;
  int64_t border;
  int64_t reduction;
  Bytes constant;
};

}  // namespace tf_patches

XLA_FFI_REGISTER_STRUCT_ATTR_DECODING(
    ::tf_patches::CallAttributes, StructMember<::tf_patches::Numbers>("planes"),
    StructMember<::tf_patches::Numbers>("rows"),
    StructMember<::tf_patches::Numbers>("cols"),
    StructMember<int64_t>("padding"), StructMember<int64_t>("border"),
    StructMember<int64_t>("reduction"),
    StructMember<::tf_patches::Bytes>("constant"));

XLA_FFI_REGISTER_STRUCT_ATTR_DECODING(
    ::tf_patches::PlacedCallAttributes,
    StructMember<::tf_patches::Numbers>("sizes"),
    StructMember<::tf_patches::Numbers>("rates"),
    StructMember<int64_t>("border"), StructMember<int64_t>("reduction"),
    StructMember<::tf_patches::Bytes>("constant"));

namespace tf_patches {
namespace {

namespace ffi = ::xla::ffi;

AxisSpec ToAxisSpec(Numbers n) { return {n[0], n[1], n[2], n[3], n[4]}; }

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

std::string BytesOf(Bytes constant) {
  return {constant.begin(), constant.end()};
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
  Run(threads,
      PlanExtraction(grid, ffi::ByteWidth(images.element_type()),
                     BytesOf(attributes.constant)),
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
      return Number::kInt8;
    case ffi::U8:
      return Number::kUint8;
    case ffi::S16:
      return Number::kInt16;
    case ffi::U16:
      return Number::kUint16;
    case ffi::S32:
      return Number::kInt32;
    case ffi::U32:
      return Number::kUint32;
    case ffi::S64:
      return Number::kInt64;
    case ffi::U64:
      return Number::kUint64;
    default:
      return std::nullopt;
  }
}

// Runs the plans, one after the other, that are made for the numbers that
// `images` hold.
template <typename MakePlans>
ffi::Error Reduce(ffi::ThreadPool& threads, ffi::AnyBuffer patches,
                  ffi::AnyBuffer images, const MakePlans& make_plans) {
  const std::optional<Number> number = NumberOf(images.element_type());
  if (!number) {
    return ffi::Error::InvalidArgument("Folds do not support bool.");
  }
  const std::vector<Plan> plans = make_plans(*number);
  for (const Plan& plan : plans) {
    Run(threads, plan, std::max(images.size_bytes(), patches.size_bytes()),
        patches, images);
  }
  return ffi::Error::Success();
}

ffi::Error Fold(ffi::ThreadPool threads, ffi::AnyBuffer patches,
                ffi::Result<ffi::AnyBuffer> images, CallAttributes attributes) {
  PatchGrid grid;
  if (auto error = ReadGrid(*images, attributes, &grid); error.failure()) {
    return error;
  }
  return Reduce(threads, patches, *images, [&](Number number) {
    return std::vector<Plan>{PlanFolding(grid, number)};
  });
}

const void* DataOf(ffi::AnyBuffer weights) {
  return weights.element_count() > 0 ? weights.untyped_data() : nullptr;
}

ffi::Error FoldWeighted(ffi::ThreadPool threads, ffi::AnyBuffer patches,
                        ffi::AnyBuffer window,
                        ffi::Result<ffi::AnyBuffer> images,
                        CallAttributes attributes) {
  PatchGrid grid;
  if (auto error = ReadGrid(*images, attributes, &grid); error.failure()) {
    return error;
  }
  Weights weights;
  weights.window = DataOf(window);
  const auto reduction = static_cast<Reduction>(attributes.reduction);
  return Reduce(threads, patches, *images, [&](Number number) {
    return PlanWeightedFolding(grid, number, reduction, weights);
  });
}

template <typename T>
PlaceNumbers<T> NumbersOf(ffi::AnyBuffer buffer) {
  return {static_cast<const T*>(buffer.untyped_data()),
          static_cast<int64_t>(buffer.element_count())};
}

// Positions alone were not checked when the function was compiled.
ffi::Error ReadPlacement(ffi::AnyBuffer images, int64_t count,
                         const PlacedCallAttributes& attributes,
                         ffi::AnyBuffer positions, ffi::AnyBuffer flips,
                         Placement* placement) {
  const auto dimensions = images.dimensions();
  const PlacementAttributes request = {
      {attributes.sizes.begin(), attributes.sizes.end()},
      {attributes.rates.begin(), attributes.rates.end()},
      static_cast<Border>(attributes.border)};
  const Shape shape(dimensions.begin(), dimensions.end());
  if (auto error = MakePlacement(shape, count, request, placement)) {
    return ffi::Error::Internal(error->message);
  }
  if (positions.element_type() == ffi::S32) {
    FillPlaces(NumbersOf<int32_t>(positions), NumbersOf<bool>(flips),
               placement);
  } else {
    FillPlaces(NumbersOf<int64_t>(positions), NumbersOf<bool>(flips),
               placement);
  }
  if (auto error = CheckPlaces(*placement)) {
    return ffi::Error::InvalidArgument(error->message);
  }
  return ffi::Error::Success();
}

// Runs `work`, which may need memory for every line of every patch.
template <typename Work>
ffi::Error WithMemory(const Work& work) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return ffi::Error(ffi::ErrorCode::kResourceExhausted,
                      "There is no memory to plan where the patches lie.");
  }
}

ffi::Error ExtractAt(ffi::ThreadPool threads, ffi::AnyBuffer images,
                     ffi::AnyBuffer positions, ffi::AnyBuffer flips,
                     ffi::Result<ffi::AnyBuffer> patches,
                     PlacedCallAttributes attributes) {
  return WithMemory([&] {
    Placement placement;
    if (auto error = ReadPlacement(images, patches->dimensions()[1], attributes,
                                   positions, flips, &placement);
        error.failure()) {
      return error;
    }
    Run(threads,
        PlanExtractionAt(placement, ffi::ByteWidth(images.element_type()),
                         BytesOf(attributes.constant)),
        patches->size_bytes(), images, *patches);
    return ffi::Error::Success();
  });
}

ffi::Error FoldAt(ffi::ThreadPool threads, ffi::AnyBuffer patches,
                  ffi::AnyBuffer positions, ffi::AnyBuffer flips,
                  ffi::AnyBuffer window, ffi::AnyBuffer profiles,
                  ffi::Result<ffi::AnyBuffer> images,
                  PlacedCallAttributes attributes) {
  return WithMemory([&] {
    Placement placement;
    if (auto error = ReadPlacement(*images, patches.dimensions()[1], attributes,
                                   positions, flips, &placement);
        error.failure()) {
      return error;
    }
    Weights weights;
    weights.window = DataOf(window);
    weights.profiles = DataOf(profiles);
    weights.has_profile_each = profiles.dimensions()[0] == placement.count;
    const auto reduction = static_cast<Reduction>(attributes.reduction);
    return Reduce(threads, patches, *images, [&](Number number) {
      // As where the plan is run: a plan multiplies weights.
      const tsl::port::ScopedFlushDenormal flush;
      return std::vector<Plan>{
          PlanFoldingAt(placement, number, reduction, weights)};
    });
  });
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

XLA_FFI_DEFINE_HANDLER(kFoldWeighted, FoldWeighted,
                       ffi::Ffi::Bind()
                           .Ctx<ffi::ThreadPool>()
                           .Arg<ffi::AnyBuffer>()
                           .Arg<ffi::AnyBuffer>()
                           .Ret<ffi::AnyBuffer>()
                           .Attrs<CallAttributes>());

XLA_FFI_DEFINE_HANDLER(kExtractAt, ExtractAt,
                       ffi::Ffi::Bind()
                           .Ctx<ffi::ThreadPool>()
                           .Arg<ffi::AnyBuffer>()
                           .Arg<ffi::AnyBuffer>()
                           .Arg<ffi::AnyBuffer>()
                           .Ret<ffi::AnyBuffer>()
                           .Attrs<PlacedCallAttributes>());

XLA_FFI_DEFINE_HANDLER(kFoldAt, FoldAt,
                       ffi::Ffi::Bind()
                           .Ctx<ffi::ThreadPool>()
                           .Arg<ffi::AnyBuffer>()
                           .Arg<ffi::AnyBuffer>()
                           .Arg<ffi::AnyBuffer>()
                           .Arg<ffi::AnyBuffer>()
                           .Arg<ffi::AnyBuffer>()
                           .Ret<ffi::AnyBuffer>()
                           .Attrs<PlacedCallAttributes>());

// XLA calls its CPUs "Host".
XLA_FFI_REGISTER_HANDLER(ffi::GetXlaFfiApi(), kExtractHandler, "Host",
                         kExtract);
XLA_FFI_REGISTER_HANDLER(ffi::GetXlaFfiApi(), kFoldHandler, "Host", kFold);
XLA_FFI_REGISTER_HANDLER(ffi::GetXlaFfiApi(), kFoldWeightedHandler, "Host",
                         kFoldWeighted);
XLA_FFI_REGISTER_HANDLER(ffi::GetXlaFfiApi(), kExtractAtHandler, "Host",
                         kExtractAt);
XLA_FFI_REGISTER_HANDLER(ffi::GetXlaFfiApi(), kFoldAtHandler, "Host", kFoldAt);

}  // namespace
}  // namespace tf_patches
