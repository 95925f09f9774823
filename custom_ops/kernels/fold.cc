#include "kernels/fold.h"

#include "kernels/fold_gather.h"
#include "kernels/fold_scatter.h"
#include "kernels/layout.h"
#include "kernels/number.h"

namespace tf_patches {
namespace {

template <typename Folder>
Plan ToPlan(const Folder& folder) {
  return {folder.units(), folder};
}

// `kValues` numbers of type T make up one element: two for a complex number.
template <typename T, int kValues = 1>
Plan PlanFoldingOf(const PatchGrid& grid) {
  const Layout layout(grid, grid.depth * kValues);
  if (Scatterer<T>::Suits(grid, layout)) {
    return ToPlan(Scatterer<T>(grid, layout));
  }
  return ToPlan(Gatherer<T>(grid, layout));
}

}  // namespace

Plan PlanFolding(const PatchGrid& whole, Number number) {
  const PatchGrid grid = whole.Reduced();
  switch (number) {
    case Number::kBFloat16:
      return PlanFoldingOf<BFloat16>(grid);
    case Number::kHalf:
      return PlanFoldingOf<Half>(grid);
    case Number::kFloat:
      return PlanFoldingOf<float>(grid);
    case Number::kDouble:
      return PlanFoldingOf<double>(grid);
    case Number::kComplexFloat:
      return PlanFoldingOf<float, 2>(grid);
    case Number::kComplexDouble:
      return PlanFoldingOf<double, 2>(grid);
    case Number::kInt8:
    case Number::kUint8:
      return PlanFoldingOf<uint8_t>(grid);
    case Number::kInt16:
    case Number::kUint16:
      return PlanFoldingOf<uint16_t>(grid);
    case Number::kInt32:
    case Number::kUint32:
      return PlanFoldingOf<uint32_t>(grid);
    case Number::kInt64:
    case Number::kUint64:
      return PlanFoldingOf<uint64_t>(grid);
  }
  return {};
}

}  // namespace tf_patches
