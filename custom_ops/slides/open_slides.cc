#include "slides/open_slides.h"

#include <pthread.h>
#include <sys/stat.h>

#include <cstdint>
#include <cstdlib>
#include <list>
#include <mutex>
#include <tuple>
#include <utility>

namespace tf_patches {
namespace {

constexpr size_t kMostSlides = 16;
// Decoded tiles of all slides: neighbouring regions share theirs.
constexpr size_t kDefaultCacheMegabytes = 64;

size_t CacheBytes() {
  const char* const text = std::getenv("TF_PATCHES_SLIDE_CACHE_MB");
  char* end = nullptr;
  const uint64_t given = text != nullptr ? std::strtoull(text, &end, 10) : 0;
  const bool is_number = text != nullptr && end != text && *end == '\0';
  return static_cast<size_t>(is_number ? given : kDefaultCacheMegabytes) << 20;
}

// What changes with a file.
using Stamp = std::tuple<dev_t, ino_t, off_t, time_t, int64_t>;

Stamp StampOf(const std::string& path) {
  struct stat found = {};
  stat(path.c_str(), &found);  // a missing file is found out on opening it
  return {found.st_dev, found.st_ino, found.st_size, found.st_mtim.tv_sec,
          found.st_mtim.tv_nsec};
}

struct Entry {
  std::string path;
  Stamp stamp;
  std::shared_ptr<const Slide> slide;
};

class OpenSlides {
 public:
  absl::StatusOr<std::shared_ptr<const Slide>> Get(const std::string& path) {
    const Stamp stamp = StampOf(path);
    // Entries that go are closed after the lock, as that may take a while.
    std::list<Entry> gone;
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = Find(path);
    if (found != entries_.end() && found->stamp == stamp) {
      entries_.splice(entries_.begin(), entries_, found);
      return entries_.front().slide;
    }
    if (found != entries_.end()) gone.splice(gone.end(), entries_, found);
    auto slide = Slide::Open(path, Cache());
    if (!slide.ok()) return slide.status();
    entries_.push_front({path, stamp, std::move(*slide)});
    if (entries_.size() > kMostSlides) {
      gone.splice(gone.end(), entries_, std::prev(entries_.end()));
    }
    return entries_.front().slide;
  }

  void Forget(const std::string& path) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = Find(path);
    if (found != entries_.end()) entries_.erase(found);
  }

 private:
  std::list<Entry>::iterator Find(const std::string& path) {
    auto entry = entries_.begin();
    while (entry != entries_.end() && entry->path != path) ++entry;
    return entry;
  }

  OpenSlideCache* Cache() {
    std::string missing;
    const OpenSlide* const library = GetOpenSlide(&missing);
    const bool can = library != nullptr && library->cache_create != nullptr &&
                     library->set_cache != nullptr;
    if (cache_ == nullptr && can) cache_ = library->cache_create(CacheBytes());
    return cache_;
  }

  std::mutex mutex_;
  std::list<Entry> entries_;  // the most recently used first
  OpenSlideCache* cache_ = nullptr;
};

// Never destroyed, as threads may read while the process ends. A forked child
// begins with none: it shares the places in files with its parent, and maybe a
// lock that nobody will give back.
OpenSlides* slides = nullptr;

OpenSlides& Slides() {
  static const bool is_made = [] {
    slides = new OpenSlides;
    pthread_atfork(nullptr, nullptr, [] { slides = new OpenSlides; });
    return true;
  }();
  static_cast<void>(is_made);
  return *slides;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Slide>> OpenedSlide(
    const std::string& path) {
  return Slides().Get(path);
}

void ForgetSlide(const std::string& path) { Slides().Forget(path); }

}  // namespace tf_patches
