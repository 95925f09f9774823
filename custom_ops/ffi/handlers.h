// What compiled functions call on a CPU, by these names, through XLA's FFI.
#ifndef TF_PATCHES_FFI_HANDLERS_H_
#define TF_PATCHES_FFI_HANDLERS_H_

namespace tf_patches {

inline constexpr char kExtractHandler[] = "tf_patches.extract_patches";
inline constexpr char kFoldHandler[] = "tf_patches.fold_patches";
inline constexpr char kFoldWeightedHandler[] =
    "tf_patches.fold_weighted_patches";
inline constexpr char kExtractAtHandler[] = "tf_patches.extract_patches_at";
inline constexpr char kFoldAtHandler[] = "tf_patches.fold_patches_at";

}  // namespace tf_patches

#endif  // TF_PATCHES_FFI_HANDLERS_H_
