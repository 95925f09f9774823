#include "kernels/fold_weighted.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "kernels/reduce.h"

namespace tf_patches {
namespace {

// The taps that see each pixel of an axis.
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
    for (int64_t unit = which.begin; unit < which.end; ++unit) {
      const int64_t line = unit / blocks_.count;
      T* const to =
          static_cast<T*>(images) + line * blocks_.cols * blocks_.depth;
      blocks_.template Reduce<Reducer>(
          unit % blocks_.count, to, [&](Range block, Reducer* reducer) {
            AddLines(static_cast<const T*>(patches), line, block, reducer);
          });
    }
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
  // Shared by the copies of a plan.
  const std::shared_ptr<const Taps> taps_;
};

template <typename T, typename Reducer>
Plan PlanOf(const PatchGrid& grid, const Weights& weights) {
  WeightedFolder<T, Reducer> folder(grid, weights);
  const int64_t units = folder.units();
  return {units, std::move(folder)};
}

}  // namespace

Plan PlanWeightedFolding(const PatchGrid& grid, Number number,
                         Reduction reduction, const Weights& weights) {
  return WithSummed(number, [&](auto type) {
    using T = typename decltype(type)::Type;
    if (reduction == Reduction::kMean) {
      return PlanOf<T, LineSum<T, Wide<T>, true>>(grid, weights);
    }
    return weights.exist()
               ? PlanOf<T, LineSum<T, Wide<T>, false>>(grid, weights)
               : PlanOf<T, LineSum<T, T, false>>(grid, weights);
  });
}

}  // namespace tf_patches
