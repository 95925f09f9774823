// A slide that is open: its levels, and regions of their pixels.
#ifndef TF_PATCHES_SLIDES_SLIDE_H_
#define TF_PATCHES_SLIDES_SLIDE_H_

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "slides/openslide.h"

namespace tf_patches {

using Rgb = std::array<uint8_t, 3>;

// Pixels of a level, the first of which is `row`, `col`: it may lie outside.
struct Region {
  int64_t level;
  int64_t row;
  int64_t col;
  int64_t rows;
  int64_t cols;
};

struct Level {
  int64_t rows;
  int64_t cols;
  double downsample;  // pixels of level 0 along a side of one of its pixels
};

// Threads may read from one slide at the same time.
class Slide {
 public:
  // `cache`, where there is one, outlives the call only.
  static absl::StatusOr<std::unique_ptr<Slide>> Open(const std::string& path,
                                                     OpenSlideCache* cache);
  ~Slide();

  Slide(const Slide&) = delete;
  Slide& operator=(const Slide&) = delete;

  const std::vector<Level>& levels() const { return levels_; }
  std::vector<std::pair<std::string, std::string>> Properties() const;
  std::vector<std::string> AssociatedImages() const;

  // What the slide itself calls its background, white if it says nothing.
  Rgb background() const { return background_; }

  // Writes `region` to `rgb`, three bytes a pixel. `background` shows outside
  // of the slide, and through pixels that are transparent.
  absl::Status Read(const Region& region, Rgb background, uint8_t* rgb) const;

  // The rows and cols of an associated image; an error if it is none.
  absl::StatusOr<std::pair<int64_t, int64_t>> AssociatedSize(
      const std::string& name) const;
  absl::Status ReadAssociated(const std::string& name, Rgb background,
                              uint8_t* rgb) const;

 private:
  Slide(const OpenSlide& library, OpenSlideHandle* handle,
        const std::string& path)
      : library_(library), handle_(handle), path_(path) {}

  // The error that OpenSlide keeps for the slide, from which no more can be
  // read.
  absl::Status Error() const;
  absl::Status ReadLevels();
  const char* LevelProperty(int32_t level, const char* name) const;

  const OpenSlide& library_;
  OpenSlideHandle* const handle_;
  const std::string path_;
  std::vector<Level> levels_;
  Rgb background_ = {255, 255, 255};
};

}  // namespace tf_patches

#endif  // TF_PATCHES_SLIDES_SLIDE_H_
