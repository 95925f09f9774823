// Memory that tells when it was written where it should not have been.
#ifndef TF_PATCHES_TESTS_NATIVE_BUFFER_H_
#define TF_PATCHES_TESTS_NATIVE_BUFFER_H_

#include <algorithm>
#include <cstdint>
#include <memory>

#include "native/random.h"

namespace tf_patches {

// `size` bytes, `before` bytes after an aligned address and `after` bytes
// before the end of the allocation, every byte a canary. Where `after` is 0 the
// address sanitizer sees the first byte that is read past the end, too.
class Buffer {
 public:
  static constexpr char kCanary = '\xa5';

  Buffer(int64_t size, int64_t before, int64_t after)
      : size_(size),
        before_(before),
        total_(before + size + after),
        bytes_(new char[total_]) {
    std::fill_n(bytes_.get(), total_, kCanary);
  }

  char* data() { return bytes_.get() + before_; }
  const char* data() const { return bytes_.get() + before_; }
  int64_t size() const { return size_; }

  // Whether all but the bytes from `begin` to `end` are canaries still.
  bool UntouchedBut(int64_t begin, int64_t end) const {
    return AllCanaries(0, before_ + begin) &&
           AllCanaries(before_ + end, total_);
  }

 private:
  bool AllCanaries(int64_t begin, int64_t end) const {
    return std::all_of(bytes_.get() + begin, bytes_.get() + end,
                       [](char byte) { return byte == kCanary; });
  }

  const int64_t size_;
  const int64_t before_;
  const int64_t total_;
  const std::unique_ptr<char[]> bytes_;
};

// Bytes that are neither zeros, as the padding is, nor canaries.
inline void FillWithBytes(Random& random, Buffer* buffer) {
  for (int64_t i = 0; i < buffer->size(); ++i) {
    const char byte = static_cast<char>(random.Between(1, 255));
    buffer->data()[i] = byte == Buffer::kCanary ? 1 : byte;
  }
}

}  // namespace tf_patches

#endif  // TF_PATCHES_TESTS_NATIVE_BUFFER_H_
