#include "memory/limits.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <limits>
#include <sstream>

namespace tf_patches {
namespace {

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

// The number in a file. A missing file, or a text such as "max", is no limit.
int64_t ReadLimit(const std::string& path) {
  std::ifstream file(path);
  int64_t limit;
  return file >> limit ? limit : kUnlimited;
}

// The least limit of `group` and the groups above it. In a container, what
// the path names may lie outside: what is mounted is the container's own.
int64_t LeastLimit(const std::string& mount, std::string group,
                   const std::string& file) {
  int64_t least = ReadLimit(mount + "/" + file);
  for (; !group.empty(); group.resize(group.rfind('/'))) {
    if (group.front() != '/') break;
    least = std::min(least, ReadLimit(mount + group + "/" + file));
  }
  return least;
}

bool HasMemory(const std::string& controllers) {
  return ("," + controllers + ",").find(",memory,") != std::string::npos;
}

int64_t LimitOf(int resource) {
  rlimit limit;
  if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
    return kUnlimited;
  }
  return static_cast<int64_t>(std::min<rlim_t>(limit.rlim_cur, kUnlimited));
}

}  // namespace

int64_t MemoryOfGroups(const std::string& groups, const std::string& mount) {
  int64_t least = kUnlimited;
  std::istringstream lines(groups);
  for (std::string line; std::getline(lines, line);) {
    // hierarchy:controllers:path, the controllers of version 2 unnamed
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string names = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    if (names.empty()) {
      least = std::min(least, LeastLimit(mount, path, "memory.max"));
    } else if (HasMemory(names)) {
      least = std::min(
          least, LeastLimit(mount + "/memory", path, "memory.limit_in_bytes"));
    }
  }
  return least;
}

int64_t MemoryOfProcess() {
  const int64_t physical =
      int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGE_SIZE);
  std::ifstream file("/proc/self/cgroup");
  const std::string groups{std::istreambuf_iterator<char>(file), {}};
  return std::min(physical, MemoryOfGroups(groups, "/sys/fs/cgroup"));
}

int64_t AddressSpaceLeft() {
  const int64_t most_mapped = LimitOf(RLIMIT_AS);
  const int64_t most_data = LimitOf(RLIMIT_DATA);
  if (most_mapped == kUnlimited && most_data == kUnlimited) return kUnlimited;
  // Pages: all that is mapped, resident, shared, code, 0, data. Read without
  // what throws: memory may be all but gone.
  int64_t mapped, data;
  std::FILE* const file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr) return 0;
  const int read =
      std::fscanf(file, "%" SCNd64 " %*d %*d %*d %*d %" SCNd64, &mapped, &data);
  std::fclose(file);
  if (read != 2) return 0;
  const int64_t page = sysconf(_SC_PAGE_SIZE);
  return std::max<int64_t>(
      0, std::min(most_mapped - mapped * page, most_data - data * page));
}

}  // namespace tf_patches
