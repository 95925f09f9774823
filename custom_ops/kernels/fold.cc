#include "kernels/fold.h"

#include "kernels/fold_gather.h"
#include "kernels/fold_scatter.h"
#include "kernels/layout.h"
#include "kernels/number.h"

namespace tf_patches {
namespace {

// `kValues` numbers of type T make up one element: two for a complex number.
template <typename T, int kValues = 1>
void FoldPatches(const PatchGrid& grid, const void* patches, Range which,
                 void* images) {
  const Layout layout(grid, grid.depth * kValues);
  const T* const src = static_cast<const T*>(patches);
  T* const dst = static_cast<T*>(images);
  if (Scatterer<T>::Suits(grid, layout)) {
    return Scatterer<T>(grid, layout, src, dst).FoldRows(which);
  }
  Gatherer<T>(grid, layout, src, dst).FoldRows(which);
}

}  // namespace

FoldFunction FoldPatchesOf(Number number) {
  switch (number) {
    case Number::kBFloat16:
      return FoldPatches<BFloat16>;
    case Number::kHalf:
      return FoldPatches<Half>;
    case Number::kFloat:
      return FoldPatches<float>;
    case Number::kDouble:
      return FoldPatches<double>;
    case Number::kComplexFloat:
      return FoldPatches<float, 2>;
    case Number::kComplexDouble:
      return FoldPatches<double, 2>;
    case Number::kInt8:
      return FoldPatches<uint8_t>;
    case Number::kInt16:
      return FoldPatches<uint16_t>;
    case Number::kInt32:
      return FoldPatches<uint32_t>;
    case Number::kInt64:
      return FoldPatches<uint64_t>;
  }
  return nullptr;
}

}  // namespace tf_patches
