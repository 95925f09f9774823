// The requests for patches that the kernels are tested with.
#ifndef TF_PATCHES_TESTS_NATIVE_REQUESTS_H_
#define TF_PATCHES_TESTS_NATIVE_REQUESTS_H_

#include <array>
#include <cstdint>
#include <functional>
#include <ostream>

#include "geometry/patch_grid.h"
#include "native/random.h"

namespace tf_patches {

struct Request {
  Shape images;  // batch, planes, rows, cols, depth: as many axes as `spec` has
  PatchSpec spec;

  std::array<int64_t, kMostAxes> space() const;
  int64_t depth() const { return images.back(); }
};

// Of rows and cols.
Request Flat(const std::array<int64_t, 4>& images, const AxisSpec& rows,
             const AxisSpec& cols, Padding padding,
             Border border = Border::kConstant);

std::ostream& operator<<(std::ostream& out, const Axis& axis);
std::ostream& operator<<(std::ostream& out, const Request& request);

// A request of any kind: of one to three axes, with every border. It is valid,
// on images that are not empty, but may have no patch.
Request RandomRequest(Random& random);

// Visits, each with a random generator of its own: every length of a patch row
// from 1 to 300 values; every small window of columns by size, stride, rate and
// depth; and `cases` random requests.
void ForEachRequest(
    int64_t cases,
    const std::function<void(const Request& request, Random& random)>& visit);

}  // namespace tf_patches

#endif  // TF_PATCHES_TESTS_NATIVE_REQUESTS_H_
