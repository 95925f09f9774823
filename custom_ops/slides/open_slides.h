// The slides that a process has open, kept so that each is opened once.
#ifndef TF_PATCHES_SLIDES_OPEN_SLIDES_H_
#define TF_PATCHES_SLIDES_OPEN_SLIDES_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "slides/slide.h"

namespace tf_patches {

// The slide at `path`: one that is open already if the file has not changed
// since, or newly opened. The least recently used are closed where too many are
// open, once nothing reads from them.
absl::StatusOr<std::shared_ptr<const Slide>> OpenedSlide(
    const std::string& path);

// Has the slide at `path` opened anew the next time: no more can be read from
// one that met an error.
void ForgetSlide(const std::string& path);

}  // namespace tf_patches

#endif  // TF_PATCHES_SLIDES_OPEN_SLIDES_H_
