#include "kernels/fold_weighted.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

#include "kernels/fold.h"
#include "kernels/reduce.h"

namespace tf_patches {
namespace {

// The taps that show each pixel of an axis.
std::vector<std::vector<Tap>> TapsOverAll(const Axis& axis) {
  std::vector<std::vector<Tap>> taps(axis.image);
  for (int64_t index = 0; index < axis.count; ++index) {
    for (int64_t tap = 0; tap < axis.patch; ++tap) {
      const int64_t pixel = axis.Source(axis.Pixel(index, tap));
      if (pixel >= 0) taps[pixel].push_back({index, tap});
    }
  }
  return taps;
}

template <typename T, typename Reducer>
class WeightedFolder {
 public:
  WeightedFolder(const PatchGrid& grid, const Weights& weights)
      : grid_(grid),
        weights_(weights,
                 {grid.planes().patch, grid.rows().patch, grid.cols().patch},
                 grid.axes),
        blocks_(grid.cols().image, grid.depth),
        inside_(grid.cols().Inside()),
        taps_(std::make_shared<Taps>(
            Taps{TapsOverAll(grid.planes()), TapsOverAll(grid.rows())})) {}

  int64_t units() const { return grid_.image_rows() * blocks_.count; }

  void operator()(const void* patches, Range which, void* images) const {
    blocks_.template Reduce<Reducer>(
        which, images, [&](int64_t line, Range block, Reducer* reducer) {
          AddLines(static_cast<const T*>(patches), line, block, reducer);
        });
  }

 private:
  struct Taps {
    std::vector<std::vector<Tap>> planes;
    std::vector<std::vector<Tap>> rows;
  };

  void AddLines(const T* patches, int64_t line, Range block,
                Reducer* reducer) const {
    const int64_t row = line % grid_.rows().image;
    const int64_t plane_line = line / grid_.rows().image;
    const int64_t plane = plane_line % grid_.planes().image;
    const int64_t batch = plane_line / grid_.planes().image;
    for (const Tap& up : taps_->planes[plane]) {
      const int64_t planes = batch * grid_.planes().count + up.index;
      for (const Tap& down : taps_->rows[row]) {
        const int64_t rows = planes * grid_.rows().count + down.index;
        AddPatches(patches, rows * grid_.cols().count,
                   up.tap * grid_.rows().patch + down.tap, block, reducer);
      }
    }
  }

  // Adds line `tap` of the patches over `block`, of those from `first` on.
  void AddPatches(const T* patches, int64_t first, int64_t tap, Range block,
                  Reducer* reducer) const {
    const Axis& cols = grid_.cols();
    const LineWeights<T> weights = weights_(0, tap);
    const int64_t line = cols.patch * grid_.depth;
    const int64_t patch = grid_.patch_rows() * line;
    const T* const values = patches + first * patch + tap * line;
    const auto add = [&](Range which) {
      for (int64_t i = which.begin; i < which.end; ++i) {
        reducer->Add({values + i * patch, weights, cols, i, false});
      }
    };
    const Range over = cols.PatchesOver(block);
    if (cols.border == Border::kConstant) return add(over);
    add({0, inside_.begin});
    add({std::max(over.begin, inside_.begin), std::min(over.end, inside_.end)});
    add({inside_.end, cols.count});
  }

  const PatchGrid grid_;
  const WeightsByLine<T> weights_;
  const Blocks<T> blocks_;
  const Range inside_;
  // The copies of a plan share it.
  const std::shared_ptr<const Taps> taps_;
};

// Divides pixels by the number of taps over them: the product of the numbers
// along each axis.
template <typename T>
class CoverageDivider {
 public:
  explicit CoverageDivider(const PatchGrid& grid)
      : grid_(grid), counts_(std::make_shared<Counts>()) {
    for (int i = 0; i < kMostAxes; ++i) {
      for (const auto& taps : TapsOverAll(grid.axis[i])) {
        (*counts_)[i].push_back(static_cast<int64_t>(taps.size()));
      }
    }
  }

  int64_t units() const { return grid_.image_rows(); }

  void operator()(const void*, Range which, void* images) const {
    const auto& [planes, rows, cols] = *counts_;
    const int64_t line = grid_.cols().image * grid_.depth;
    T* pixel = static_cast<T*>(images) + which.begin * line;
    for (int64_t n = which.begin; n < which.end; ++n) {
      const int64_t row = n % grid_.rows().image;
      const int64_t plane = n / grid_.rows().image % grid_.planes().image;
      const int64_t count = planes[plane] * rows[row];
      for (const int64_t col_count : cols) {
        const T divisor(std::max<int64_t>(1, count * col_count));
        for (int64_t d = 0; d < grid_.depth; ++d) {
          pixel[d] = Quotient(pixel[d], divisor);
        }
        pixel += grid_.depth;
      }
    }
  }

 private:
  using Counts = std::array<std::vector<int64_t>, kMostAxes>;

  const PatchGrid grid_;
  // The copies of a plan share it.
  const std::shared_ptr<Counts> counts_;
};

template <typename Worker>
Plan ToPlan(Worker worker) {
  const int64_t units = worker.units();
  return {units, std::move(worker)};
}

// Without weights and without a last rounding to 16 bits, a mean is a sum and a
// division.
template <typename T>
std::vector<Plan> PlanMean(const PatchGrid& grid, Number number,
                           const Weights& weights) {
  if constexpr (std::is_same_v<T, Wide<T>>) {
    if (!weights.exist()) {
      return {PlanFolding(grid, number), ToPlan(CoverageDivider<T>(grid))};
    }
  }
  return {ToPlan(WeightedFolder<T, LineSum<T, Wide<T>, true>>(grid, weights))};
}

}  // namespace

std::vector<Plan> PlanWeightedFolding(const PatchGrid& grid, Number number,
                                      Reduction reduction,
                                      const Weights& weights) {
  return WithSummed(number, [&](auto type) -> std::vector<Plan> {
    using T = typename decltype(type)::Type;
    if constexpr (kHasMean<T>) {
      if (reduction == Reduction::kMean)
        return PlanMean<T>(grid, number, weights);
    }
    if (!weights.exist()) return {PlanFolding(grid, number)};
    return {
        ToPlan(WeightedFolder<T, LineSum<T, Wide<T>, false>>(grid, weights))};
  });
}

}  // namespace tf_patches
