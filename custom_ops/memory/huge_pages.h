// Pages of 2 MiB: large memory needs fewer of them, and the first touch of each
// page takes time.
#ifndef TF_PATCHES_MEMORY_HUGE_PAGES_H_
#define TF_PATCHES_MEMORY_HUGE_PAGES_H_

#include <sys/mman.h>

#include <cstdint>

namespace tf_patches {

inline constexpr int64_t kHugePage = 2 << 20;

// From this size on, huge pages save time; NumPy has the same limit. The C
// library reuses smaller memory.
inline constexpr int64_t kLargeBytes = 4 << 20;

// Asks for huge pages for memory that was not touched yet. If there are any,
// filling the memory takes a third of the time.
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
