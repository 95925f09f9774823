#include "kernels/fold_at.h"

#include <cstdint>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "kernels/reduce.h"

namespace tf_patches {
namespace {

// The lines of patches over each line of the images, in the order in which they
// are stored.
class LineIndex {
 public:
  // `is_wanted` says whether a line of a patch of an image counts.
  template <typename IsWanted>
  LineIndex(const Placement& placement, const IsWanted& is_wanted)
      : begin_(placement.image_rows() + 1) {
    // Counts first, to find where the list of each image line begins.
    ForEachLine(placement, is_wanted,
                [this](int64_t line, int64_t) { ++begin_[line + 1]; });
    std::partial_sum(begin_.begin(), begin_.end(), begin_.begin());
    lines_.resize(begin_.back());
    std::vector<int64_t> next(begin_.begin(), begin_.end() - 1);
    ForEachLine(placement, is_wanted, [&](int64_t line, int64_t patch_line) {
      lines_[next[line]++] = patch_line;
    });
  }

  // Calls `use` with each line of a patch over `line`, counted over all
  // patches.
  template <typename Use>
  void ForEachOver(int64_t line, const Use& use) const {
    for (int64_t i = begin_[line]; i < begin_[line + 1]; ++i) use(lines_[i]);
  }

 private:
  template <typename IsWanted, typename Use>
  static void ForEachLine(const Placement& placement, const IsWanted& is_wanted,
                          const Use& use) {
    const int64_t planes = placement.axis[0].patch;
    const int64_t rows = placement.axis[1].patch;
    std::vector<int64_t> row_sources(rows);
    int64_t patch_line = 0;
    for (int64_t n = 0; n < placement.patch_count(); ++n) {
      const Place& place = placement.PlaceOf(n);
      for (int64_t tap = 0; tap < rows; ++tap) {
        row_sources[tap] = Source(placement, place, 1, tap);
      }
      const int64_t image = n / placement.count * placement.axis[0].image;
      for (int64_t p = 0; p < planes; ++p) {
        const int64_t plane = Source(placement, place, 0, p);
        for (int64_t tap = 0; tap < rows; ++tap, ++patch_line) {
          if (plane < 0 || row_sources[tap] < 0) continue;
          if (!is_wanted(n % placement.count, p * rows + tap)) continue;
          use((image + plane) * placement.axis[1].image + row_sources[tap],
              patch_line);
        }
      }
    }
  }

  static int64_t Source(const Placement& placement, const Place& place, int i,
                        int64_t stored) {
    const Axis axis = placement.At(place, i);
    const int64_t tap = place.is_flipped[i] ? axis.patch - 1 - stored : stored;
    return axis.Source(axis.Pixel(0, tap));
  }

  std::vector<int64_t> begin_;
  std::vector<int64_t> lines_;
};

template <typename T, typename Reducer>
class PlacedFolder {
 public:
  PlacedFolder(const Placement& placement, const Weights& weights)
      : placement_(placement),
        weights_(weights,
                 {placement.axis[0].patch, placement.axis[1].patch,
                  placement.axis[2].patch},
                 placement.axes),
        blocks_(placement.axis[2].image, placement.depth),
        index_(std::make_shared<LineIndex>(
            placement, [this](int64_t k, int64_t line) {
              return !(weights_(k, line).scale == Wide<T>());
            })) {}

  int64_t units() const { return placement_.image_rows() * blocks_.count; }

  void operator()(const void* patches, Range which, void* images) const {
    blocks_.template Reduce<Reducer>(
        which, images, [&](int64_t line, Range block, Reducer* reducer) {
          AddLines(static_cast<const T*>(patches), line, block, reducer);
        });
  }

 private:
  void AddLines(const T* patches, int64_t line, Range block,
                Reducer* reducer) const {
    const int64_t rows = placement_.patch_rows();
    const int64_t row = placement_.axis[2].patch * placement_.depth;
    index_->ForEachOver(line, [&](int64_t patch_line) {
      const int64_t n = patch_line / rows;
      const Place& place = placement_.PlaceOf(n);
      const Axis cols = placement_.At(place, 2);
      if (cols.border == Border::kConstant &&
          (cols.Start(0) >= block.end ||
           cols.Start(0) + cols.EffectiveSize() <= block.begin)) {
        return;
      }
      reducer->Add({patches + patch_line * row,
                    weights_(n % placement_.count, patch_line % rows), cols, 0,
                    place.is_flipped[2]});
    });
  }

  const Placement& placement_;
  const WeightsByLine<T> weights_;
  const Blocks<T> blocks_;
  // The copies of a plan share it.
  const std::shared_ptr<const LineIndex> index_;
};

template <typename T, typename Reducer>
Plan PlanOf(const Placement& placement, const Weights& weights) {
  PlacedFolder<T, Reducer> folder(placement, weights);
  const int64_t units = folder.units();
  return {units, std::move(folder)};
}

}  // namespace

Plan PlanFoldingAt(const Placement& placement, Number number,
                   Reduction reduction, const Weights& weights) {
  if (IsExtreme(reduction)) {
    return WithCompared(number, [&](auto type) {
      using T = typename decltype(type)::Type;
      return reduction == Reduction::kMax
                 ? PlanOf<T, LineMost<T, true>>(placement, weights)
                 : PlanOf<T, LineMost<T, false>>(placement, weights);
    });
  }
  return WithSummed(number, [&](auto type) {
    using T = typename decltype(type)::Type;
    if constexpr (kHasMean<T>) {
      if (reduction == Reduction::kMean) {
        return PlanOf<T, LineSum<T, Wide<T>, true>>(placement, weights);
      }
    }
    return weights.exist()
               ? PlanOf<T, LineSum<T, Wide<T>, false>>(placement, weights)
               : PlanOf<T, LineSum<T, T, false>>(placement, weights);
  });
}

}  // namespace tf_patches
