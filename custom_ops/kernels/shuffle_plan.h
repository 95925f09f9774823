// How to copy patches of scattered bytes by shuffling bytes within registers.
#ifndef TF_PATCHES_KERNELS_SHUFFLE_PLAN_H_
#define TF_PATCHES_KERNELS_SHUFFLE_PLAN_H_

#include <cstdint>
#include <vector>

#include "geometry/patch_grid.h"

namespace tf_patches {

// Copies patches that lie wholly inside the image, many of one row of the grid
// at a time. A few loads of 16 bytes of the image, each shuffled to bring its
// bytes to where they belong, make up 16 bytes of patches; which bytes those
// are repeats after a turn of some patches, and is worked out once. 3x3 patches
// of single bytes take two thirds of the time of copying three bytes at a time.
class ShufflePlan {
 public:
  // For a share of `patches` patches.
  ShufflePlan(const PatchGrid& grid, int64_t pixel_bytes, int64_t patches);

  // Copies patches from the first of `count` on. Returns how many: none where
  // the processor cannot, or the patches are better copied piece by piece.
  int64_t Copy(int64_t count, const char* src, const char* src_end,
               char* dst) const;

 private:
  static constexpr int64_t kLanes = 16;

  struct Load {
    int64_t offset;  // from the first byte of the turn
    alignas(kLanes) uint8_t lanes[kLanes];
  };

  template <int kLoads>
  void CopyTurns(int64_t turns, const char* src, char* dst) const;

  int64_t turn_patches_ = 0;
  int64_t turn_step_ = 0;   // in the image, from a turn to the next
  int64_t turn_reach_ = 0;  // bytes of the image that a turn may read
  int64_t loads_ = 0;       // that make up 16 bytes of patches
  std::vector<Load> plan_;
};

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_SHUFFLE_PLAN_H_
