#include "kernels/bands.h"

#include <algorithm>
#include <utility>

namespace tf_patches {
namespace {

// Whether `b` holds the taps of `a`, moved by so many patches and taps.
bool IsMoved(const std::vector<Tap>& a, const std::vector<Tap>& b,
             int64_t patches, int64_t taps) {
  return std::equal(
      a.begin(), a.end(), b.begin(), b.end(), [&](const Tap& a, const Tap& b) {
        return a.index + patches == b.index && a.tap + taps == b.tap;
      });
}

// The longest run that begins with the first of `cols`.
Band FindRun(const Axis& axis, Range cols) {
  Band run = {cols.begin, 1, 1, axis.TapsOver(cols.begin)};
  while (
      run.col + run.pixels < cols.end &&
      IsMoved(run.taps, axis.TapsOver(run.col + run.pixels), 0, run.pixels)) {
    ++run.pixels;
  }
  return run;
}

class BandFinder {
 public:
  BandFinder(const Axis& axis, Range cols)
      : axis_(axis),
        cols_(cols),
        last_(std::min(axis.stride, cols.size()), -1) {}

  std::vector<Band> Find() && {
    const Range even = axis_.Even();
    for (int64_t col = cols_.begin; col < cols_.end;) {
      // Once runs repeat, each run is followed by another run a stride further
      // on.
      const int64_t strides =
          col > even.begin
              ? (std::min(even.end, cols_.end) - col) / axis_.stride
              : 0;
      if (strides < 2) {
        Band run = FindRun(axis_, {col, cols_.end});
        col += run.pixels;
        Add(std::move(run));
        continue;
      }
      const int64_t next = col + axis_.stride;
      while (col < next) {
        Band run = FindRun(axis_, {col, next});
        run.repeats = strides;
        col += run.pixels;
        Add(std::move(run));
      }
      col += (strides - 1) * axis_.stride;
    }
    return std::move(bands_);
  }

 private:
  void Add(Band run) {
    int64_t& last = last_[(run.col - cols_.begin) % axis_.stride];
    if (last >= 0 && GoesOnWith(bands_[last], run)) {
      bands_[last].repeats += run.repeats;
      return;
    }
    last = static_cast<int64_t>(bands_.size());
    bands_.push_back(std::move(run));
  }

  bool GoesOnWith(const Band& band, const Band& run) const {
    return band.pixels == run.pixels &&
           band.col + band.repeats * axis_.stride == run.col &&
           IsMoved(band.taps, run.taps, band.repeats, 0);
  }

  const Axis& axis_;
  const Range cols_;
  std::vector<Band> bands_;
  // The band that last had a run on each column, modulo the stride.
  std::vector<int64_t> last_;
};

}  // namespace

std::vector<Band> FindBands(const Axis& axis, Range cols) {
  return BandFinder(axis, cols).Find();
}

}  // namespace tf_patches
