#include "kernels/shuffle_plan.h"

#include <algorithm>
#include <numeric>

#ifdef __x86_64__
#include <tmmintrin.h>
#endif

#include "kernels/instructions.h"

namespace tf_patches {
namespace {

constexpr int64_t kMostPatchBytes = 64;
constexpr int64_t kMostLoads = 5;

// Fewer bytes are sooner copied than a plan is made.
constexpr int64_t kFewestBytes = 64 << 10;

// A lane of a shuffle that stays zero.
constexpr uint8_t kNoLane = 0x80;

// Whether that many loads are fewer enough than copies of pieces.
bool IsWorthIt(int64_t loads, int64_t pieces) {
  return 5 * loads <= 4 * pieces;
}

// Where each byte of `patches` patches lies, from the first one's first byte.
std::vector<int64_t> Offsets(const PatchGrid& grid, int64_t pixel,
                             int64_t patches) {
  std::vector<int64_t> offsets;
  for (int64_t n = 0; n < patches; ++n) {
    for (int64_t row = 0; row < grid.rows.patch; ++row) {
      for (int64_t col = 0; col < grid.cols.patch; ++col) {
        const int64_t at = n * grid.cols.stride +
                           row * grid.rows.rate * grid.cols.image +
                           col * grid.cols.rate;
        for (int64_t i = 0; i < pixel; ++i) offsets.push_back(at * pixel + i);
      }
    }
  }
  return offsets;
}

// The fewest windows of `width` bytes that between them hold all of `offsets`.
std::vector<int64_t> Windows(std::vector<int64_t> offsets, int64_t width) {
  std::sort(offsets.begin(), offsets.end());
  std::vector<int64_t> windows;
  for (const int64_t offset : offsets) {
    if (windows.empty() || offset >= windows.back() + width) {
      windows.push_back(offset);
    }
  }
  return windows;
}

}  // namespace

ShufflePlan::ShufflePlan(const PatchGrid& grid, int64_t pixel_bytes,
                         int64_t patches) {
  const int64_t patch_bytes = grid.rows.patch * grid.cols.patch * pixel_bytes;
  if (!MayUse(Instructions::kSsse3) || patch_bytes > kMostPatchBytes ||
      patches * patch_bytes < kFewestBytes) {
    return;
  }
  if (grid.rows.Inside().empty() || grid.cols.Inside().empty()) return;
  turn_patches_ = kLanes / std::gcd(kLanes, patch_bytes);
  const int64_t vectors = turn_patches_ * patch_bytes / kLanes;
  const int64_t pieces = turn_patches_ * grid.rows.patch *
                         (grid.cols.rate == 1 ? 1 : grid.cols.patch);
  if (!IsWorthIt(vectors, pieces)) return;

  const std::vector<int64_t> offsets =
      Offsets(grid, pixel_bytes, turn_patches_);
  std::vector<std::vector<int64_t>> windows;
  int64_t most = 0;
  for (int64_t v = 0; v < vectors; ++v) {
    const auto first = offsets.begin() + v * kLanes;
    windows.push_back(Windows({first, first + kLanes}, kLanes));
    most = std::max<int64_t>(most, windows.back().size());
  }
  if (most > kMostLoads || !IsWorthIt(most * vectors, pieces)) return;

  loads_ = most;
  turn_step_ = turn_patches_ * grid.cols.stride * pixel_bytes;
  turn_reach_ = *std::max_element(offsets.begin(), offsets.end()) + kLanes;
  for (int64_t v = 0; v < vectors; ++v) {
    windows[v].resize(loads_, turn_reach_);  // those hold no lane
    for (const int64_t window : windows[v]) {
      Load load = {std::min(window, turn_reach_ - kLanes), {}};
      for (int64_t lane = 0; lane < kLanes; ++lane) {
        const int64_t at = offsets[v * kLanes + lane] - window;
        load.lanes[lane] = at >= 0 && at < kLanes ? at : kNoLane;
      }
      plan_.push_back(load);
    }
  }
}

#ifdef __x86_64__
template <int kLoads>
[[gnu::target("ssse3")]] void ShufflePlan::CopyTurns(int64_t turns,
                                                     const char* src,
                                                     char* dst) const {
  const Load* const end = plan_.data() + plan_.size();
  for (; turns > 0; --turns, src += turn_step_) {
    for (const Load* load = plan_.data(); load != end; dst += kLanes) {
      __m128i made = _mm_setzero_si128();
      for (int i = 0; i < kLoads; ++i, ++load) {
        const __m128i bytes = _mm_loadu_si128(
            reinterpret_cast<const __m128i*>(src + load->offset));
        const __m128i lanes =
            _mm_load_si128(reinterpret_cast<const __m128i*>(load->lanes));
        made = _mm_or_si128(made, _mm_shuffle_epi8(bytes, lanes));
      }
      _mm_storeu_si128(reinterpret_cast<__m128i*>(dst), made);
    }
  }
}

int64_t ShufflePlan::Copy(int64_t count, const char* src, const char* src_end,
                          char* dst) const {
  if (loads_ == 0 || src_end - src < turn_reach_) return 0;
  const int64_t turns = std::min(
      count / turn_patches_, (src_end - src - turn_reach_) / turn_step_ + 1);
  switch (loads_) {
    case 1:
      CopyTurns<1>(turns, src, dst);
      break;
    case 2:
      CopyTurns<2>(turns, src, dst);
      break;
    case 3:
      CopyTurns<3>(turns, src, dst);
      break;
    case 4:
      CopyTurns<4>(turns, src, dst);
      break;
    default:
      CopyTurns<kMostLoads>(turns, src, dst);
  }
  return turns * turn_patches_;
}
#else
int64_t ShufflePlan::Copy(int64_t, const char*, const char*, char*) const {
  return 0;
}
#endif

}  // namespace tf_patches
