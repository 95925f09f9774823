// Memory for large results. When a result is freed, its memory is kept for the
// next result.
#ifndef TF_PATCHES_MEMORY_BLOCK_CACHE_H_
#define TF_PATCHES_MEMORY_BLOCK_CACHE_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>

namespace tf_patches {

// The first touch of a fresh page costs more than all that our kernels do with
// it, above all in virtual machines. So blocks lie in huge pages, of which
// fewer are touched, and freed blocks stay mapped. What is kept is one pool,
// cut and joined as blocks of other sizes are wanted: no byte of it is wasted
// except the rest of a huge page.
//
// What is kept is marked as reclaimable: the kernel takes it where memory is
// short. It is given back, the longest unused first, where it exceeds a limit,
// and altogether where a block cannot be had otherwise.
class BlockCache {
 public:
  struct Usage {
    int64_t used;  // bytes of blocks that are not freed
    int64_t kept;  // bytes of what was freed
  };

  // Keeps up to `limit` bytes.
  explicit BlockCache(int64_t limit) : limit_(limit) {}
  ~BlockCache() { Clear(); }
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;

  // Returns a block of at least 1 byte on a boundary of kHugePage, which is not
  // cleared, or null if there is no memory.
  void* Allocate(int64_t bytes);

  // Takes back what Allocate returned.
  void Free(void* block);

  // Gives all kept memory back, and returns how many bytes.
  int64_t Clear();

  int64_t limit() const { return limit_; }
  void set_limit(int64_t limit);

  Usage usage() const;

  // Around a fork: Lock before it, Unlock in both processes after it. Nothing
  // is kept across, as either process would copy it page by page.
  void LockToFork();
  void UnlockAfterFork() { mutex_.unlock(); }

 private:
  struct Block {
    int64_t bytes;
    int64_t freed;  // when, counted in calls of Free
  };
  using Blocks = std::map<char*, Block>;

  void* Reuse(int64_t bytes);
  void* MapAnew(int64_t bytes);
  void Keep(Blocks::node_type block);
  void KeepAtMost(int64_t bytes);  // with the lock held, as Keep

  std::atomic<int64_t> limit_;
  mutable std::mutex mutex_;
  Blocks used_;
  Blocks kept_;
  int64_t kept_bytes_ = 0;
  int64_t frees_ = 0;
};

}  // namespace tf_patches

#endif  // TF_PATCHES_MEMORY_BLOCK_CACHE_H_
