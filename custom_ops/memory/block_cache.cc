#include "memory/block_cache.h"

#include <sys/mman.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <new>
#include <utility>

#include "memory/huge_pages.h"
#include "memory/limits.h"

namespace tf_patches {
namespace {

// The part of the address space under `ulimit` that may be kept. Kept memory
// counts there even if it is reclaimable, and other code cannot ask for it.
constexpr int64_t kShareOfAddressSpace = 8;

void Unmap(char* start, int64_t bytes) {
  if (bytes == 0 || munmap(start, bytes) == 0) return;
  // A process has a limited number of mappings, and each cut makes another
  // mapping.
  madvise(start, bytes, MADV_DONTNEED);
}

// Whole huge pages on a boundary of kHugePage, or null.
char* Map(int64_t bytes) {
  const int64_t more = bytes + kHugePage;
  void* const mapped = mmap(nullptr, more, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  char* const first = static_cast<char*>(mapped);
  const int64_t before =
      kHugePage - 1 - (reinterpret_cast<uintptr_t>(first) - 1) % kHugePage;
  Unmap(first, before);
  Unmap(first + before + bytes, more - before - bytes);
  AdviseHugePages(first + before, bytes);
  return first + before;
}

}  // namespace

void* BlockCache::Allocate(int64_t bytes) {
  if (bytes > std::numeric_limits<int64_t>::max() - 2 * kHugePage) {
    return nullptr;
  }
  bytes = (bytes + kHugePage - 1) / kHugePage * kHugePage;
  if (void* const block = Reuse(bytes)) return block;
  if (void* const block = MapAnew(bytes)) return block;
  return Clear() > 0 ? MapAnew(bytes) : nullptr;
}

// The smallest piece that is large enough, cut to size.
void* BlockCache::Reuse(int64_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  auto best = kept_.end();
  for (auto block = kept_.begin(); block != kept_.end(); ++block) {
    if (block->second.bytes < bytes) continue;
    if (best == kept_.end() || block->second.bytes < best->second.bytes) {
      best = block;
    }
  }
  if (best == kept_.end()) return nullptr;
  const auto [start, block] = *best;
  if (block.bytes > bytes) {
    try {
      kept_.emplace(start + bytes, Block{block.bytes - bytes, block.freed});
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
    best->second.bytes = bytes;
  }
  used_.insert(kept_.extract(best));
  kept_bytes_ -= bytes;
  return start;
}

void* BlockCache::MapAnew(int64_t bytes) {
  char* const start = Map(bytes);
  if (start == nullptr) return nullptr;
  try {
    const std::lock_guard<std::mutex> lock(mutex_);
    used_.emplace(start, Block{bytes, 0});
    return start;
  } catch (const std::bad_alloc&) {
    Unmap(start, bytes);
    return nullptr;
  }
}

void BlockCache::Free(void* start) {
  std::unique_lock<std::mutex> lock(mutex_);
  Blocks::node_type block = used_.extract(static_cast<char*>(start));
  lock.unlock();
  const int64_t bytes = block.mapped().bytes;
  if (bytes > limit_) return Unmap(block.key(), bytes);
#ifdef MADV_FREE
  madvise(start, bytes, MADV_FREE);
#endif
  const int64_t left = AddressSpaceLeft();
  lock.lock();
  const int64_t share =
      left / kShareOfAddressSpace + kept_bytes_ / kShareOfAddressSpace;
  Keep(std::move(block));
  KeepAtMost(std::min<int64_t>(limit_, share));
}

// Joins `block` with its neighbours on both sides.
void BlockCache::Keep(Blocks::node_type block) {
  kept_bytes_ += block.mapped().bytes;
  block.mapped().freed = ++frees_;
  auto joined = kept_.insert(std::move(block)).position;
  const auto next = std::next(joined);
  if (next != kept_.end() &&
      joined->first + joined->second.bytes == next->first) {
    joined->second.bytes += next->second.bytes;
    kept_.erase(next);
  }
  if (joined == kept_.begin()) return;
  const auto previous = std::prev(joined);
  if (previous->first + previous->second.bytes != joined->first) return;
  previous->second = {previous->second.bytes + joined->second.bytes, frees_};
  kept_.erase(joined);
}

// Gives back what exceeds that.
void BlockCache::KeepAtMost(int64_t bytes) {
  while (kept_bytes_ > bytes) {
    const auto oldest = std::min_element(
        kept_.begin(), kept_.end(), [](const auto& a, const auto& b) {
          return a.second.freed < b.second.freed;
        });
    Block& block = oldest->second;
    const int64_t pages = (kept_bytes_ - bytes + kHugePage - 1) / kHugePage;
    const int64_t excess = std::min(block.bytes, pages * kHugePage);
    block.bytes -= excess;
    kept_bytes_ -= excess;
    Unmap(oldest->first + block.bytes, excess);
    if (block.bytes == 0) kept_.erase(oldest);
  }
}

void BlockCache::set_limit(int64_t limit) {
  const std::lock_guard<std::mutex> lock(mutex_);
  limit_ = limit;
  KeepAtMost(limit);
}

int64_t BlockCache::Clear() {
  const std::lock_guard<std::mutex> lock(mutex_);
  const int64_t bytes = kept_bytes_;
  KeepAtMost(0);
  return bytes;
}

BlockCache::Usage BlockCache::usage() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  Usage usage = {0, kept_bytes_};
  for (const auto& [start, block] : used_) usage.used += block.bytes;
  return usage;
}

void BlockCache::LockToFork() {
  mutex_.lock();
  KeepAtMost(0);
}

}  // namespace tf_patches
