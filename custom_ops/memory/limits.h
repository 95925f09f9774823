// How much memory the process may use.
#ifndef TF_PATCHES_MEMORY_LIMITS_H_
#define TF_PATCHES_MEMORY_LIMITS_H_

#include <cstdint>
#include <string>

namespace tf_patches {

// Bytes of the machine, or of the process' control group if it has less.
int64_t MemoryOfProcess();

// Bytes that control groups allow, those above them included; the largest
// number where they allow any. `groups` is what /proc/self/cgroup holds, and
// `mount` where the groups are mounted: each version 2, or version 1's
// "memory".
int64_t MemoryOfGroups(const std::string& groups, const std::string& mount);

// Bytes by which the process may still grow under `ulimit -v` and `ulimit -d`;
// the largest number where neither is set.
int64_t AddressSpaceLeft();

}  // namespace tf_patches

#endif  // TF_PATCHES_MEMORY_LIMITS_H_
