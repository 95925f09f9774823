#include "tensorflow/result.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "memory/block_cache.h"
#include "memory/huge_pages.h"
#include "memory/limits.h"
#include "tensorflow/core/framework/allocator.h"

namespace tf_patches {
namespace {

// The part of the process' memory that may be kept, and an upper limit.
constexpr int64_t kShareOfMemory = 8;
constexpr int64_t kMostKept = int64_t{4} << 30;

int64_t DefaultLimit() {
  return std::min(MemoryOfProcess() / kShareOfMemory, kMostKept);
}

// The only cache of the process. It is never destroyed, because tensors may
// live until the process ends.
BlockCache& Results() {
  static BlockCache& cache = [&]() -> BlockCache& {
    pthread_atfork([] { Results().LockToFork(); },
                   [] { Results().UnlockAfterFork(); },
                   [] { Results().UnlockAfterFork(); });
    return *std::make_unique<BlockCache>(DefaultLimit()).release();
  }();
  return cache;
}

class ResultAllocator : public tensorflow::Allocator {
 public:
  std::string Name() override { return "tf_patches_results"; }

  void* AllocateRaw(size_t, size_t bytes) override {
    return Results().Allocate(static_cast<int64_t>(bytes));
  }

  void DeallocateRaw(void* block) override { Results().Free(block); }

  tensorflow::AllocatorMemoryType GetMemoryType() const override {
    return tensorflow::AllocatorMemoryType::kHostPageable;
  }
};

// Never destroyed either.
tensorflow::Allocator* AllocatorOfResults() {
  static ResultAllocator* const allocator =
      std::make_unique<ResultAllocator>().release();
  return allocator;
}

// Whether the reader of the result accepts any memory. A GPU, a network card or
// a collective op may need memory of its own.
bool MayLieAnywhere(const tensorflow::AllocatorAttributes& wanted) {
  return !wanted.gpu_compatible() && !wanted.nic_compatible() &&
         wanted.scope_id <= 0;
}

// A shape of more bytes than can be counted is TensorFlow's to refuse.
bool IsLarge(tensorflow::DataType dtype, const tensorflow::TensorShape& shape) {
  int64_t bytes;
  return !__builtin_mul_overflow(shape.num_elements(),
                                 tensorflow::DataTypeSize(dtype), &bytes) &&
         bytes >= kLargeBytes;
}

}  // namespace

absl::Status AllocateResult(tensorflow::OpKernelContext* context, int index,
                            const tensorflow::TensorShape& shape,
                            tensorflow::Tensor** result) {
  const tensorflow::DataType dtype = context->expected_output_dtype(index);
  if (IsLarge(dtype, shape) && Results().limit() > 0 &&
      MayLieAnywhere(context->output_alloc_attr(index))) {
    const tensorflow::Tensor large(AllocatorOfResults(), dtype, shape);
    if (large.IsInitialized()) {
      context->set_output(index, large);
      *result = context->mutable_output(index);
      return absl::OkStatus();
    }
  }
  // Where there is no memory, TensorFlow waits for some, and then says so.
  return context->allocate_output(index, shape, result);
}

}  // namespace tf_patches

// What Python calls.
extern "C" {

[[gnu::visibility("default")]] void TfPatchesSetResultCacheLimit(
    int64_t bytes) {
  tf_patches::Results().set_limit(bytes);
}

[[gnu::visibility("default")]] int64_t TfPatchesClearResultCache() {
  return tf_patches::Results().Clear();
}

// Bytes in use, kept, and kept at most.
[[gnu::visibility("default")]] void TfPatchesResultCacheUsage(
    int64_t usage[3]) {
  const tf_patches::BlockCache::Usage now = tf_patches::Results().usage();
  usage[0] = now.used;
  usage[1] = now.kept;
  usage[2] = tf_patches::Results().limit();
}

}  // extern "C"
