#include "kernels/pieces.h"

#include <type_traits>

#include "kernels/instructions.h"
#include "kernels/piece_copy.h"
#include "kernels/transpose.h"

namespace tf_patches {
namespace {

// Copies `count` pieces that are `step` apart; a constant count unrolls.
template <int kCount, typename Copy>
char* CopyLine(const Copy& copy, int64_t length, Loop line, const char* src,
               char* dst) {
  const int64_t count = kCount > 0 ? kCount : line.count;
  for (int64_t i = 0; i < count; ++i) {
    copy(dst, src);
    dst += length;
    src += line.step;
  }
  return dst;
}

// The pieces are passed by value: no store can change a local copy.
template <int kCount, Lines kLines, typename Copy>
void CopyPatches(const Pieces pieces, const Copy& copy, Range which,
                 const char* src, char* dst) {
  dst += which.begin * pieces.patch_bytes();
  src += which.begin * pieces.patches.step;
  if (kLines == Lines::kOne) src += pieces.lines[0];
  for (int64_t n = which.size(); n > 0; --n, src += pieces.patches.step) {
    if constexpr (kLines == Lines::kOne) {
      dst = CopyLine<kCount>(copy, pieces.length, pieces.line, src, dst);
      continue;
    }
    for (int64_t i = 0; i < pieces.line_count; ++i) {
      const int64_t line = pieces.lines[i];
      if (kLines == Lines::kAny && line == kNoRow) {
        dst = pieces.constant.Fill(dst, pieces.line_bytes());
        continue;
      }
      dst = CopyLine<kCount>(copy, pieces.length, pieces.line, src + line, dst);
    }
  }
}

template <int kCount, typename Copy>
void CopyPatches(const Pieces pieces, const Copy& copy, Range which,
                 const char* src, char* dst) {
  switch (pieces.kind) {
    case Lines::kOne:
      return CopyPatches<kCount, Lines::kOne>(pieces, copy, which, src, dst);
    case Lines::kInside:
      return CopyPatches<kCount, Lines::kInside>(pieces, copy, which, src, dst);
    case Lines::kAny:
      return CopyPatches<kCount, Lines::kAny>(pieces, copy, which, src, dst);
  }
}

// Without its loop, a patch of a few short pieces takes a quarter of the time.
template <typename Copy>
void CopyFewPieces(const Pieces& pieces, const Copy& copy, Range which,
                   const char* src, char* dst) {
  switch (pieces.line.count) {
    case 1:
      return CopyPatches<1>(pieces, copy, which, src, dst);
    case 2:
      return CopyPatches<2>(pieces, copy, which, src, dst);
    case 3:
      return CopyPatches<3>(pieces, copy, which, src, dst);
    case 4:
      return CopyPatches<4>(pieces, copy, which, src, dst);
    case 5:
      return CopyPatches<5>(pieces, copy, which, src, dst);
    case 7:
      return CopyPatches<7>(pieces, copy, which, src, dst);
    default:
      return CopyPatches<0>(pieces, copy, which, src, dst);
  }
}

// How many of `pieces.patches` can be copied `width` bytes at a time without
// touching memory behind one of the buffers.
int64_t CountSafe(const Pieces& pieces, int64_t width, const char* src,
                  const char* src_end, const char* dst, const char* dst_end) {
  const int64_t readable = (src_end - src) - pieces.span() - width;
  const int64_t writable = (dst_end - dst) - (width - pieces.length);
  if (readable < 0 || writable < 0) return 0;
  return std::min({pieces.patches.count, writable / pieces.patch_bytes(),
                   readable / pieces.patches.step + 1});
}

#ifdef TF_PATCHES_X86
// Copies pieces of one lane each, where those of neighbouring patches lie side
// by side in the image: a square of lanes at a time, a patch's pieces down and
// the patches across. Returns how many patches it copied, from the first on.
template <int kLaneBytes>
int64_t TransposePatches(const Pieces& pieces, const char* src, char* dst,
                         const char* dst_end) {
  constexpr int64_t kLanes = 16 / kLaneBytes;
  constexpr int64_t kFewest = 6;  // below, moving lanes one by one is faster
  constexpr int64_t kMost = 256;
  const int64_t lanes = pieces.patch_bytes() / kLaneBytes;
  if (lanes < kFewest || lanes > kMost) return 0;
  const char* lane_src[kMost + kLanes] = {};  // null for a lane of the constant
  int64_t lane = 0;
  for (int64_t i = 0; i < pieces.line_count; ++i) {
    for (int64_t k = 0; k < pieces.line.count; ++k, ++lane) {
      if (pieces.lines[i] == kNoRow) continue;
      lane_src[lane] = src + pieces.lines[i] + k * pieces.line.step;
    }
  }
  char outside[16];
  pieces.constant.Fill(outside, 16);
  const __m128i constant =
      _mm_loadu_si128(reinterpret_cast<const __m128i*>(outside));
  // The last store of a patch may be too long by a square less one lane.
  const int64_t writable = (dst_end - dst - 16) / pieces.patch_bytes();
  const int64_t count =
      std::min(pieces.patches.count, writable) / kLanes * kLanes;
  for (int64_t n = 0; n < count; n += kLanes) {
    // From the last lanes to the first: each copy mends what the copy before it
    // overran.
    for (int64_t first = (lanes - 1) / kLanes * kLanes; first >= 0;
         first -= kLanes) {
      __m128i rows[kLanes];
      for (int64_t i = 0; i < kLanes; ++i) {
        const char* const from = lane_src[first + i];
        rows[i] = from == nullptr
                      ? constant
                      : _mm_loadu_si128(reinterpret_cast<const __m128i*>(
                            from + n * kLaneBytes));
      }
      Transpose<kLaneBytes>(rows);
      char* to = dst + n * pieces.patch_bytes() + first * kLaneBytes;
      for (int64_t i = 0; i < kLanes; ++i, to += pieces.patch_bytes()) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to), rows[i]);
      }
    }
  }
  return count;
}

int64_t CopyByTransposing(const Pieces& pieces, const char* src, char* dst,
                          const char* dst_end) {
  if (pieces.patches.step != pieces.length) return 0;
  if (pieces.length == 1) {
    return TransposePatches<1>(pieces, src, dst, dst_end);
  }
  if (pieces.length == 2) {
    return TransposePatches<2>(pieces, src, dst, dst_end);
  }
  return 0;
}
#else
int64_t CopyByTransposing(const Pieces&, const char*, char*, const char*) {
  return 0;
}
#endif

// Compiles `run` by itself, so that its loops have all registers.
template <typename Run>
[[gnu::noinline]] void RunAlone(const Run& run) {
  run(VectorBytes<16>());
}

char* CopyPixels(const char* src, int64_t count, int64_t rate, int64_t pixel,
                 char* dst) {
  if (rate == 1) {
    std::memcpy(dst, src, count * pixel);
    return dst + count * pixel;
  }
  return CopyLine<0>(ExactCopy{pixel}, pixel, Spaced(count, rate, pixel), src,
                     dst);
}

// What the taps of a patch show beyond the edge.
char* CopyOutside(const Axis& across, int64_t index, Range taps, int64_t pixel,
                  const char* row, const Constant& constant, char* dst) {
  if (taps.empty()) return dst;
  if (across.border == Border::kConstant) {
    return constant.Fill(dst, taps.size() * pixel);
  }
  for (int64_t tap = taps.begin; tap < taps.end; ++tap, dst += pixel) {
    const int64_t source = across.Source(across.Pixel(index, tap));
    std::memcpy(dst, row + source * pixel, pixel);
  }
  return dst;
}

}  // namespace

void CopyPieces(const Pieces& pieces, const char* src, const char* src_end,
                char* dst, const char* dst_end) {
  const int64_t done = CopyByTransposing(pieces, src, dst, dst_end);
  WithCopyOf(pieces.length, [&](const auto& wide) {
    const int64_t safe = std::max(
        done, CountSafe(pieces, wide.width(), src, src_end, dst, dst_end));
    const auto copy = [&](auto) {
      CopyFewPieces(pieces, wide, {done, safe}, src, dst);
    };
    if constexpr (std::decay_t<decltype(wide)>::kGainsByVectors) {
      WithWidestVectors(copy);
    } else {
      RunAlone(copy);
    }
    CopyPatches<0>(pieces, ExactCopy{pieces.length},
                   {safe, pieces.patches.count}, src, dst);
  });
}

char* CopyBorderPatch(const Axis& across, int64_t index, int64_t pixel,
                      const char* image, const int64_t* lines,
                      int64_t line_count, const Constant& constant, char* dst) {
  const Range taps = across.TapsInside(index);
  const int64_t first =
      taps.empty() ? 0 : across.Pixel(index, taps.begin) * pixel;
  for (int64_t i = 0; i < line_count; ++i) {
    if (lines[i] == kNoRow) {
      dst = constant.Fill(dst, across.patch * pixel);
      continue;
    }
    const char* const row = image + lines[i];
    dst =
        CopyOutside(across, index, {0, taps.begin}, pixel, row, constant, dst);
    dst = CopyPixels(row + first, taps.size(), across.rate, pixel, dst);
    dst = CopyOutside(across, index, {taps.end, across.patch}, pixel, row,
                      constant, dst);
  }
  return dst;
}

}  // namespace tf_patches
