// The memory of large results, and how much of it there may be.
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "memory/block_cache.h"
#include "memory/huge_pages.h"
#include "memory/limits.h"
#include "native/check.h"
#include "native/random.h"
#include "native/tests.h"

namespace tf_patches {
namespace {

constexpr int64_t kPage = kHugePage;
constexpr int64_t kAny = std::numeric_limits<int64_t>::max();
constexpr int kThreads = 4;

bool IsMapped(void* block) {
  return msync(block, kPage, MS_ASYNC) == 0;  // ENOMEM where nothing is
}

// A block with a value of its own at both ends and on every small page.
struct Marked {
  char* start;
  int64_t bytes;
  char value;

  void Write() const {
    for (int64_t at = 0; at < bytes; at += 4096) start[at] = value;
    start[bytes - 1] = value;
  }
  bool Holds() const {
    for (int64_t at = 0; at < bytes; at += 4096) {
      if (start[at] != value) return false;
    }
    return start[bytes - 1] == value;
  }
};

Marked AllocateMarked(Random& random, BlockCache* cache) {
  const int64_t bytes =
      random.Of<int64_t>({1, kPage, kPage + 1, random.Between(1, 8 * kPage)});
  char* const start = static_cast<char*>(cache->Allocate(bytes));
  return {start, bytes, static_cast<char>(random.Between(1, 100))};
}

// While it exists, the process may grow by so much and no more.
class WithUlimit {
 public:
  WithUlimit(int resource, int64_t more) : resource_(resource) {
    getrlimit(resource, &before_);
    int64_t mapped = 0, data = 0, skipped;
    std::ifstream("/proc/self/statm") >> mapped >> skipped >> skipped >>
        skipped >> skipped >> data;
    const int64_t pages = resource == RLIMIT_AS ? mapped : data;
    rlimit limit = before_;
    limit.rlim_cur = pages * sysconf(_SC_PAGE_SIZE) + more;
    setrlimit(resource, &limit);
  }
  ~WithUlimit() { setrlimit(resource_, &before_); }

 private:
  const int resource_;
  rlimit before_;
};

class Folder {
 public:
  Folder() { path_ = mkdtemp(path_.data()); }
  ~Folder() { std::filesystem::remove_all(path_); }

  const std::string& path() const { return path_; }

  void Write(const std::string& name, const std::string& text) const {
    const std::filesystem::path file = path_ + "/" + name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }

 private:
  std::string path_ =
      std::filesystem::temp_directory_path() / "tf_patches_test.XXXXXX";
};

// Allocates and frees at random; what a block holds stays there.
void CheckAtRandom(Check& check, Random& random, BlockCache* cache) {
  std::vector<Marked> blocks;
  for (int i = 0; i < 100; ++i) {
    if (blocks.size() < 6 && random.OneIn(2)) {
      blocks.push_back(AllocateMarked(random, cache));
      const Marked& block = blocks.back();
      check.That(reinterpret_cast<uintptr_t>(block.start) % kPage == 0,
                 "a block on no boundary");
      block.Write();
    } else if (!blocks.empty()) {
      random.Shuffle(&blocks);
      check.That(blocks.back().Holds(), "another block wrote here");
      cache->Free(blocks.back().start);
      blocks.pop_back();
    }
    if (random.OneIn(50)) cache->Clear();
  }
  for (const Marked& block : blocks) {
    check.That(block.Holds(), "another block wrote here at last");
    cache->Free(block.start);
  }
}

}  // namespace

void BlocksCase(Check& check, Random& random) {
  BlockCache cache(random.Between(0, 20) * kPage);
  CheckAtRandom(check, random, &cache);
  check.Equal(cache.usage().used, int64_t{0}, "in use");
  check.That(cache.usage().kept <= cache.limit(), "kept ", cache.usage().kept,
             " of ", cache.limit());
  const int64_t kept = cache.usage().kept;
  check.Equal(cache.Clear(), kept, "given back");
  check.Equal(cache.usage().kept, int64_t{0}, "kept after that");
}

void TestBlocksAtRandom(Check& check) {
  ForEachSeed(40, [&](Random& random) { BlocksCase(check, random); });
}

void TestBlocksAreReused(Check& check) {
  BlockCache cache(kAny);
  char* const large = static_cast<char*>(cache.Allocate(8 * kPage));
  cache.Free(large);
  check.Equal(cache.usage().kept, 8 * kPage, "kept");
  // Cut into blocks of other sizes, in whole pages.
  void* const first = cache.Allocate(3 * kPage - 5);
  void* const second = cache.Allocate(5 * kPage);
  check.That(first == large && second == large + 3 * kPage, "not reused");
  check.Equal(cache.usage().used, 8 * kPage, "in use");
  check.Equal(cache.usage().kept, int64_t{0}, "kept beside");
  // Joined again, in either order.
  cache.Free(second);
  cache.Free(first);
  check.That(cache.Allocate(8 * kPage) == large, "not joined");
  cache.Free(large);
  // Sizes in turn take no more than the largest.
  for (int64_t turn = 0; turn < 200; ++turn) {
    cache.Free(cache.Allocate(turn % 8 * kPage + 1));
    check.Equal(cache.usage().kept, 8 * kPage, "kept in turn ", turn);
  }
  // The smallest that is large enough.
  void* const held = cache.Allocate(6 * kPage);
  check.That(cache.Allocate(2 * kPage) == large + 6 * kPage, "not the rest");
  cache.Free(held);
  cache.Free(large + 6 * kPage);
}

void TestOldestBlocksGoFirst(Check& check) {
  BlockCache cache(3 * kPage);
  std::vector<char*> blocks;
  // Mapped one by one with others between them, so that no two are joined.
  for (int i = 0; i < 7; ++i) {
    blocks.push_back(static_cast<char*>(cache.Allocate(kPage)));
  }
  for (const int i : {3, 1, 5}) cache.Free(blocks[i]);
  for (const int i : {1, 3, 5}) check.That(IsMapped(blocks[i]), "given back");
  cache.Free(blocks[0]);
  check.That(!IsMapped(blocks[3]), "the oldest is kept");
  check.Equal(cache.usage().kept, 3 * kPage, "kept");
  cache.set_limit(2 * kPage);
  check.Equal(cache.usage().kept, 2 * kPage, "kept under another limit");
  // What exceeds the limit by itself drives nothing else out.
  cache.Free(cache.Allocate(4 * kPage));
  check.Equal(cache.usage().kept, 2 * kPage, "kept beside a larger one");
  cache.set_limit(0);
  for (const int i : {2, 4, 6}) cache.Free(blocks[i]);
  check.Equal(cache.usage().kept, int64_t{0}, "kept though off");
}

void TestNoMemoryForBlocks(Check& check) {
  BlockCache cache(kAny);
  for (const int64_t bytes : {kAny, kAny - 2 * kPage, int64_t{1} << 60}) {
    cache.Free(cache.Allocate(kPage));
    check.That(cache.Allocate(bytes) == nullptr, bytes, " bytes");
  }
  for (const int resource : {RLIMIT_AS, RLIMIT_DATA}) {
    cache.Free(cache.Allocate(64 * kPage));
    const WithUlimit limited(resource, 16 * kPage);
    void* const larger = cache.Allocate(72 * kPage);
    check.That(larger != nullptr, "what is kept was not given back");
    check.Equal(cache.usage().kept, int64_t{0}, "kept");
    if (larger == nullptr) continue;
    cache.Free(larger);
    check.That(cache.usage().kept <= 80 * kPage / 8, "kept ",
               cache.usage().kept, " where others need it");
    cache.Clear();
  }
}

void TestBlocksInThreads(Check& check) {
  BlockCache cache(16 * kPage);
  std::vector<std::thread> threads;
  std::vector<Check> checks(kThreads, Check(check.cases()));
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      Random random(i);
      CheckAtRandom(checks[i], random, &cache);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Check& one : checks) {
    check.Equal(one.failures(), int64_t{0}, "failures of a thread");
  }
  check.Equal(cache.usage().used, int64_t{0}, "in use");
}

// A child goes on with the blocks that were in use, and so does its parent.
void TestForkAmongThreads(Check& check) {
  BlockCache cache(16 * kPage);
  Random random(1);
  const Marked block = AllocateMarked(random, &cache);
  block.Write();
  std::atomic<bool> stop = false;
  std::thread other([&] {
    while (!stop) cache.Free(cache.Allocate(2 * kPage));
  });
  for (int i = 0; i < 20; ++i) {
    cache.LockToFork();
    const pid_t child = fork();
    cache.UnlockAfterFork();
    if (child == 0) {
      const bool kept = block.Holds();
      cache.Free(block.start);
      void* const reused = cache.Allocate(block.bytes);
      cache.Clear();
      _exit(kept && reused == block.start ? 0 : 1);
    }
    int status = -1;
    check.That(child > 0 && waitpid(child, &status, 0) == child, "no child");
    check.Equal(status, 0, "the child's status");
    check.That(block.Holds(), "the child wrote into its parent's block");
  }
  stop = true;
  other.join();
  cache.Free(block.start);
}

void TestControlGroups(Check& check) {
  const Folder folder;
  folder.Write("memory/memory.limit_in_bytes", "9223372036854771712\n");
  folder.Write("memory/docker/memory.limit_in_bytes", "3000\n");
  folder.Write("memory/docker/one/memory.limit_in_bytes", "5000\n");
  folder.Write("memory.max", "9000\n");
  folder.Write("user/memory.max", "max\n");
  folder.Write("user/one/memory.max", "7000\n");
  struct {
    const char* groups;
    int64_t expected;
  } const cases[] = {
      {"4:memory:/docker/one\n", 3000},
      {"4:memory:/docker\n3:cpu,cpuacct:/docker\n", 3000},
      {"4:cpu,memory:/\n", 9223372036854771712},
      {"4:memory:/of the host\n", 9223372036854771712},
      {"4:name=memory:/docker\n", kAny},
      {"0::/user/one\n", 7000},
      {"0::/user\n", 9000},
      {"0::/\n", 9000},
      {"0::/of the host/one\n", 9000},
      {"0::\n", 9000},
      {"4:memory:/docker\n0::/user/one\n", 3000},
      {"", kAny},
      {"no group", kAny},
      {"4:memory", kAny},
  };
  for (const auto& [groups, expected] : cases) {
    check.Equal(MemoryOfGroups(groups, folder.path()), expected, groups);
  }
  check.Equal(MemoryOfGroups("0::/user\n", "/nowhere"), kAny, "not mounted");
}

void TestMemoryOfProcess(Check& check) {
  const int64_t memory = MemoryOfProcess();
  check.That(memory > kPage && memory < kAny, memory, " bytes of memory");
  for (const int resource : {RLIMIT_AS, RLIMIT_DATA}) {
    const WithUlimit limited(resource, 64 * kPage);
    const int64_t left = AddressSpaceLeft();
    check.That(left > 60 * kPage && left <= 64 * kPage, left, " bytes left");
  }
  rlimit limit;
  getrlimit(RLIMIT_AS, &limit);
  if (limit.rlim_cur == RLIM_INFINITY) {
    check.Equal(AddressSpaceLeft(), kAny, "left without a limit");
  }
}

}  // namespace tf_patches
