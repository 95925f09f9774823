// Copies of pieces of memory that all have the same length.
#ifndef TF_PATCHES_KERNELS_PIECE_COPY_H_
#define TF_PATCHES_KERNELS_PIECE_COPY_H_

#include <cstdint>
#include <cstring>

namespace tf_patches {

// Moves exactly `length` bytes.
struct ExactCopy {
  int64_t length;
  int64_t width() const { return length; }
  void operator()(char* dst, const char* src) const {
    std::memcpy(dst, src, length);
  }
};

// Moves `kWidth` bytes for pieces of up to `kWidth` bytes: a move or two
// instead of a call to memcpy. If pieces are written side by side and in order,
// the next piece overwrites the excess. The caller keeps the last pieces away
// from the ends of both buffers.
template <int64_t kWidth>
struct WideCopy {
  static constexpr bool kGainsByVectors = kWidth > 16;
  static constexpr int64_t width() { return kWidth; }
  void operator()(char* dst, const char* src) const {
    std::memcpy(dst, src, kWidth);
  }
};

// Moves exactly `length` bytes, more than 64. In the C library a piece of a few
// kilobytes is a `rep movsb`, which takes half as long again where both ends
// are in the caches.
struct LongCopy {
  static constexpr bool kGainsByVectors = true;
  int64_t length;
  int64_t width() const { return length; }
  void operator()(char* dst, const char* src) const {
    const int64_t last = length - 64;
    for (int64_t at = 0; at < last; at += 64) {
      std::memcpy(dst + at, src + at, 64);
    }
    std::memcpy(dst + last, src + last, 64);
  }
};

// Calls `use` with the narrowest copy that moves `length` bytes.
template <typename Use>
void WithCopyOf(int64_t length, const Use& use) {
  if (length == 1) return use(WideCopy<1>());
  if (length == 2) return use(WideCopy<2>());
  if (length <= 4) return use(WideCopy<4>());
  if (length <= 8) return use(WideCopy<8>());
  if (length <= 16) return use(WideCopy<16>());
  if (length <= 32) return use(WideCopy<32>());
  if (length <= 64) return use(WideCopy<64>());
  return use(LongCopy{length});
}

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_PIECE_COPY_H_
