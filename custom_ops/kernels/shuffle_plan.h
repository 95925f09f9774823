// How to copy patches of scattered bytes by shuffling bytes within registers.
#ifndef TF_PATCHES_KERNELS_SHUFFLE_PLAN_H_
#define TF_PATCHES_KERNELS_SHUFFLE_PLAN_H_

#include <cstdint>
#include <vector>

#include "geometry/patch_grid.h"

namespace tf_patches {

// Copies patches that lie wholly inside the image, many of one row of the grid
// at a time. A few loads of a register of the image, each shuffled to bring its
// bytes to where they belong, make up a register of patches; which bytes those
// are repeats after a turn of some patches, and is worked out once. With
// registers of 16 bytes, 3x3 patches of single bytes take two thirds of the
// time of copying three bytes at a time; with 64, half of that.
class ShufflePlan {
 public:
  ShufflePlan(const PatchGrid& grid, int64_t pixel_bytes);

  // Copies the first of `count` patches. Returns how many: 0 if the processor
  // cannot, or if copies piece by piece take less time.
  int64_t Copy(int64_t count, const char* src, const char* src_end,
               char* dst) const;

 private:
  static constexpr int64_t kMostLanes = 64;

  // The byte of a load that goes to each lane of the register, if any.
  struct alignas(kMostLanes) Shuffle {
    uint8_t lanes[kMostLanes];
  };

  // Whether a plan with registers of `lanes` bytes saves time.
  bool Make(const PatchGrid& grid, int64_t pixel, int64_t lanes);
  // Works out the loads of a turn from where its bytes lie and from the windows
  // that hold those of each register.
  void Fill(const std::vector<int64_t>& offsets,
            std::vector<std::vector<int64_t>> windows);
  // Copies by at least that many loads for each register, as many as it takes.
  template <int kLoads>
  void CopyTurns(int64_t turns, const char* src, char* dst) const;
  template <int kLoads>
  void CopyTurns16(int64_t turns, const char* src, char* dst) const;
  template <int kLoads>
  void CopyTurns64(int64_t turns, const char* src, char* dst) const;

  const int64_t patch_bytes_;
  const int64_t patch_step_;  // in the image, from a patch to the next
  int64_t lanes_ = 0;
  int64_t turn_patches_ = 0;
  int64_t turn_reach_ = 0;  // bytes of the image that a turn may read
  int64_t loads_ = 0;       // that make up a register of patches
  // Of every load of a turn: where it is, from the turn's first byte on, and
  // what becomes of it.
  std::vector<int64_t> offsets_;
  std::vector<Shuffle> shuffles_;
};

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_SHUFFLE_PLAN_H_
