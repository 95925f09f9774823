#include "ffi/share_out.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>

#include "kernels/share.h"
#include "tsl/platform/denormal.h"

namespace tf_patches {
namespace {

// Shares of one piece of work, each for the first thread that comes for it. No
// thread waits for another to begin, so that a caller that is one of the pool's
// own threads, all of them busy, does all of the work itself.
class Shares {
 public:
  Shares(int64_t units, int64_t units_per_share,
         std::function<void(Range)> work)
      : units_(units),
        units_per_share_(units_per_share),
        count_((units + units_per_share - 1) / units_per_share),
        work_(std::move(work)) {}

  int64_t count() const { return count_; }

  void RunWhatIsLeft() {
    // As in TensorFlow's kernels, whatever the thread was doing before.
    const tsl::port::ScopedFlushDenormal flush;
    for (;;) {
      const int64_t begin = next_.fetch_add(1) * units_per_share_;
      if (begin >= units_) return;
      work_({begin, std::min(begin + units_per_share_, units_)});
      if (done_.fetch_add(1) + 1 < count_) continue;
      // Locked, or the waiting thread could look before and sleep after.
      const std::lock_guard<std::mutex> lock(mutex_);
      all_done_.notify_all();
    }
  }

  void WaitForAll() {
    std::unique_lock<std::mutex> lock(mutex_);
    all_done_.wait(lock, [this] { return done_ == count_; });
  }

 private:
  const int64_t units_;
  const int64_t units_per_share_;
  const int64_t count_;
  const std::function<void(Range)> work_;
  std::atomic<int64_t> next_ = 0;
  std::atomic<int64_t> done_ = 0;
  std::mutex mutex_;
  std::condition_variable all_done_;
};

}  // namespace

void ShareOut(xla::ffi::ThreadPool& threads, int64_t units, int64_t bytes,
              std::function<void(Range)> work) {
  // A thread may come when all is done, and find nothing but the count of it.
  const int64_t count = std::max<int64_t>(1, threads.num_threads());
  const auto shares = std::make_shared<Shares>(
      units, UnitsPerShare(units, bytes, count), std::move(work));
  for (int64_t n = std::min(shares->count(), count) - 1; n > 0; --n) {
    threads.Schedule([shares] { shares->RunWhatIsLeft(); });
  }
  shares->RunWhatIsLeft();
  shares->WaitForAll();
}

}  // namespace tf_patches
