// Pages of 2 MiB, of which large memory takes fewer: each page's first touch
// costs.
#ifndef TF_PATCHES_MEMORY_HUGE_PAGES_H_
#define TF_PATCHES_MEMORY_HUGE_PAGES_H_

#include <sys/mman.h>

#include <cstdint>

namespace tf_patches {

inline constexpr int64_t kHugePage = 2 << 20;

// From this size on, memory in huge pages pays: as NumPy has it. The C library
// reuses what is smaller.
inline constexpr int64_t kLargeBytes = 4 << 20;

// Has what was not touched yet of that memory in huge pages, where there are
// any: then it is filled in a third of the time.
inline void AdviseHugePages(void* memory, int64_t bytes) {
  const uintptr_t begin = reinterpret_cast<uintptr_t>(memory);
  const uintptr_t first = (begin + kHugePage - 1) / kHugePage * kHugePage;
  const uintptr_t end = (begin + bytes) / kHugePage * kHugePage;
  if (first >= end) return;
  // Where there are no huge pages, small ones do.
  madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);
}

}  // namespace tf_patches

#endif  // TF_PATCHES_MEMORY_HUGE_PAGES_H_
