// Writes memory from front to back past the caches.
#ifndef TF_PATCHES_KERNELS_STREAM_WRITER_H_
#define TF_PATCHES_KERNELS_STREAM_WRITER_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>

#include "kernels/instructions.h"

namespace tf_patches {

// From this size on a result is streamed past the caches, which it would not
// fit in: on Intel's servers a third of the time of ordinary stores. A smaller
// one is sooner ready that way too, but later read by the next op: together
// they take half as long again.
inline constexpr int64_t kStreamedBytes = 32 << 20;

// On AMD's (Zen 4) ordinary stores into memory that was touched before are as
// fast for long pieces, and up to half as fast again for short ones; what reads
// the result next is as soon done.
inline int64_t StreamedBytesOfProcessor() {
#ifdef TF_PATCHES_X86
  __builtin_cpu_init();
  if (__builtin_cpu_is("amd")) return std::numeric_limits<int64_t>::max();
#endif
  return kStreamedBytes;
}

// A variable, so that tests can stream on every processor.
inline int64_t streamed_bytes = StreamedBytesOfProcessor();

// Bytes are collected here before they are streamed, in the first-level cache.
inline constexpr int64_t kStreamBufferBytes = 16 << 10;

// A result larger than the caches is written to memory in any case; an ordinary
// store would read each cache line from memory first. Only whole lines can go
// without, so the writer holds back what does not fill one.
class StreamWriter {
 public:
  explicit StreamWriter(char* dst)
      : line_start_(dst - reinterpret_cast<uintptr_t>(dst) % kLine),
        begin_(dst - line_start_),
        end_(begin_) {}

  void Append(const char* src, int64_t bytes) {
    if (end_ > 0) {
      const int64_t part = std::min(bytes, kLine - end_);
      std::memcpy(line_ + end_, src, part);
      end_ += part;
      src += part;
      bytes -= part;
      if (end_ < kLine) return;
      FlushLine();
    }
    for (; bytes >= kLine; bytes -= kLine, src += kLine) {
      StoreLine(line_start_, src);
      line_start_ += kLine;
    }
    std::memcpy(line_, src, bytes);
    end_ = bytes;
  }

  // Writes what is held back; nothing may be appended after it.
  void Finish() {
    std::memcpy(line_start_ + begin_, line_ + begin_, end_ - begin_);
  }

  // Makes all that this thread's writers wrote visible to other threads.
  static void Publish() {
#ifdef TF_PATCHES_X86
    _mm_sfence();
#endif
  }

 private:
  static constexpr int64_t kLine = 64;

  // The first line may begin within another thread's share.
  void FlushLine() {
    if (begin_ == 0) {
      StoreLine(line_start_, line_);
    } else {
      std::memcpy(line_start_ + begin_, line_ + begin_, kLine - begin_);
    }
    line_start_ += kLine;
    begin_ = end_ = 0;
  }

  static void StoreLine(char* dst, const char* src) {
#ifdef TF_PATCHES_X86
    for (int64_t i = 0; i < kLine; i += sizeof(__m128i)) {
      _mm_stream_si128(
          reinterpret_cast<__m128i*>(dst + i),
          _mm_loadu_si128(reinterpret_cast<const __m128i*>(src + i)));
    }
#else
    std::memcpy(dst, src, kLine);
#endif
  }

  char* line_start_;
  int64_t begin_;
  int64_t end_;
  alignas(64) char line_[kLine];
};

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_STREAM_WRITER_H_
