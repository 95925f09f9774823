#include "kernels/shuffle_plan.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "kernels/instructions.h"
#include "kernels/layout.h"

namespace tf_patches {
namespace {

constexpr int64_t kMostLoads = 8;

// A longer plan does not stay in the first-level cache.
constexpr int64_t kMostShuffles = 512;

// To copy fewer bytes takes less time than to make a plan: with registers of 64
// bytes that takes up to 50 us.
constexpr int64_t kFewestBytes = 64 << 10;
constexpr int64_t kFewestBytesForMostLanes = 1 << 20;

// Marks lanes. In registers of 16 bytes, marked lanes take no byte, which is
// how the shuffle reads it. In registers of 64 bytes, marked lanes take a byte.
constexpr uint8_t kMark = 0x80;

// Whether registers with so many loads each take less time than copies of so
// many pieces.
bool IsWorthIt(int64_t registers, int64_t loads, int64_t pieces) {
  if (loads > 4) return 3 * registers * loads <= pieces;
  return 5 * registers * loads <= 4 * pieces;
}

// Where each byte of `patches` patches lies, counted from the first byte of the
// first patch.
std::vector<int64_t> Offsets(const PatchGrid& grid, int64_t pixel,
                             int64_t patches) {
  std::vector<int64_t> offsets;
  const auto& [planes, rows, cols] = grid.axis;
  offsets.reserve(patches * grid.patch_rows() * cols.patch * pixel);
  for (int64_t n = 0; n < patches; ++n) {
    for (int64_t tap = 0; tap < grid.patch_rows(); ++tap) {
      const int64_t plane = tap / rows.patch * planes.rate;
      const int64_t row = plane * rows.image + tap % rows.patch * rows.rate;
      for (int64_t col = 0; col < cols.patch; ++col) {
        const int64_t at = n * cols.stride + row * cols.image + col * cols.rate;
        for (int64_t i = 0; i < pixel; ++i) offsets.push_back(at * pixel + i);
      }
    }
  }
  return offsets;
}

// The fewest windows of `width` bytes that hold all the offsets.
std::vector<int64_t> Windows(const int64_t* offsets, int64_t width) {
  constexpr int64_t kNone = std::numeric_limits<int64_t>::max();
  std::vector<int64_t> windows;
  for (int64_t from = 0;;) {
    int64_t next = kNone;
    for (int64_t i = 0; i < width; ++i) {
      if (offsets[i] >= from) next = std::min(next, offsets[i]);
    }
    if (next == kNone) return windows;
    windows.push_back(next);
    from = next + width;
  }
}

}  // namespace

ShufflePlan::ShufflePlan(const PatchGrid& grid, int64_t pixel_bytes)
    : patch_bytes_(grid.patch_rows() * grid.cols().patch * pixel_bytes),
      patch_step_(
          StepBetween(grid.cols().count, grid.cols().stride, pixel_bytes)) {
  const int64_t bytes = grid.patch_count() * patch_bytes_;
  if (grid.planes().Inside().empty() || grid.rows().Inside().empty()) return;
  if (MayUse(Instructions::kAvx512) && bytes >= kFewestBytesForMostLanes &&
      Make(grid, pixel_bytes, kMostLanes)) {
    return;
  }
  if (MayUse(Instructions::kSsse3) && bytes >= kFewestBytes) {
    Make(grid, pixel_bytes, 16);
  }
}

bool ShufflePlan::Make(const PatchGrid& grid, int64_t pixel, int64_t lanes) {
  const int64_t common = std::gcd(lanes, patch_bytes_);
  const int64_t turn = lanes / common;
  const int64_t registers = patch_bytes_ / common;
  if (registers > kMostShuffles || grid.cols().Inside().size() < turn) {
    return false;
  }
  const int64_t pieces = turn * grid.patch_rows() *
                         (grid.cols().rate == 1 ? 1 : grid.cols().patch);
  if (!IsWorthIt(registers, 1, pieces)) return false;

  const std::vector<int64_t> offsets = Offsets(grid, pixel, turn);
  std::vector<std::vector<int64_t>> windows;
  int64_t most = 0;
  for (int64_t i = 0; i < registers; ++i) {
    windows.push_back(Windows(&offsets[i * lanes], lanes));
    most = std::max<int64_t>(most, windows.back().size());
    if (most > kMostLoads || most * registers > kMostShuffles ||
        !IsWorthIt(registers, most, pieces)) {
      return false;
    }
  }

  lanes_ = lanes;
  turn_patches_ = turn;
  loads_ = most;
  Fill(offsets, std::move(windows));
  return true;
}

void ShufflePlan::Fill(const std::vector<int64_t>& offsets,
                       std::vector<std::vector<int64_t>> windows) {
  const uint8_t mark = lanes_ == kMostLanes ? kMark : 0;
  const int64_t end = *std::max_element(offsets.begin(), offsets.end());
  turn_reach_ = end + lanes_;
  const int64_t* wanted = offsets.data();
  for (std::vector<int64_t>& loads : windows) {
    loads.resize(loads_, turn_reach_);  // those hold no lane
    for (const int64_t load : loads) {
      offsets_.push_back(std::min(load, end));
      Shuffle& shuffle = shuffles_.emplace_back();
      for (int64_t lane = 0; lane < lanes_; ++lane) {
        const int64_t at = wanted[lane] - load;
        const bool takes = at >= 0 && at < lanes_;
        shuffle.lanes[lane] = takes ? at | mark : kMark ^ mark;
      }
    }
    wanted += lanes_;
  }
}

#ifdef TF_PATCHES_X86
// These two differ in their instructions, which no template can choose.
template <int kLoads>
[[gnu::target("ssse3")]] void ShufflePlan::CopyTurns16(int64_t turns,
                                                       const char* src,
                                                       char* dst) const {
  const size_t end = offsets_.size();
  for (; turns > 0; --turns, src += turn_patches_ * patch_step_) {
    for (size_t load = 0; load < end; dst += 16) {
      __m128i made = _mm_setzero_si128();
      for (int i = 0; i < kLoads; ++i, ++load) {
        const __m128i bytes = _mm_loadu_si128(
            reinterpret_cast<const __m128i*>(src + offsets_[load]));
        const __m128i lanes = _mm_load_si128(
            reinterpret_cast<const __m128i*>(shuffles_[load].lanes));
        made = _mm_or_si128(made, _mm_shuffle_epi8(bytes, lanes));
      }
      _mm_storeu_si128(reinterpret_cast<__m128i*>(dst), made);
    }
  }
}

template <int kLoads>
[[gnu::target("avx512f,avx512bw,avx512vbmi")]] void ShufflePlan::CopyTurns64(
    int64_t turns, const char* src, char* dst) const {
  const size_t end = offsets_.size();
  for (; turns > 0; --turns, src += turn_patches_ * patch_step_) {
    for (size_t load = 0; load < end; dst += 64) {
      __m512i made = _mm512_setzero_si512();
      for (int i = 0; i < kLoads; ++i, ++load) {
        const __m512i bytes = _mm512_loadu_si512(src + offsets_[load]);
        const __m512i lanes = _mm512_load_si512(shuffles_[load].lanes);
        const __mmask64 marked = _mm512_movepi8_mask(lanes);
        made = _mm512_mask_permutexvar_epi8(made, marked, lanes, bytes);
      }
      _mm512_storeu_si512(dst, made);
    }
  }
}

template <int kLoads>
void ShufflePlan::CopyTurns(int64_t turns, const char* src, char* dst) const {
  if constexpr (kLoads < kMostLoads) {
    if (loads_ > kLoads) return CopyTurns<kLoads + 1>(turns, src, dst);
  }
  if (lanes_ == kMostLanes) return CopyTurns64<kLoads>(turns, src, dst);
  CopyTurns16<kLoads>(turns, src, dst);
}
#else
template <int kLoads>
void ShufflePlan::CopyTurns(int64_t, const char*, char*) const {}
#endif

int64_t ShufflePlan::Copy(int64_t count, const char* src, const char* src_end,
                          char* dst) const {
  if (loads_ == 0 || count < turn_patches_ || src_end - src < turn_reach_) {
    return 0;
  }
  const int64_t last = (src_end - src - turn_reach_) / patch_step_;
  const int64_t turns = std::min(count, last + turn_patches_) / turn_patches_;
  CopyTurns<1>(turns, src, dst);
  const int64_t done = turns * turn_patches_;
  // The rest is less than a turn: a turn that begins earlier ends with the last
  // patch.
  const int64_t first = std::min(count - turn_patches_, last);
  if (first + turn_patches_ <= done) return done;
  CopyTurns<1>(1, src + first * patch_step_, dst + first * patch_bytes_);
  return first + turn_patches_;
}

}  // namespace tf_patches
