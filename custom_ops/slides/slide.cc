#include "slides/slide.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>

#include "absl/strings/str_cat.h"

namespace tf_patches {
namespace {

// OpenSlide draws into four bytes a pixel, so many pixels at a time.
constexpr int64_t kPixelsAtOnce = int64_t{1} << 22;

// Where a level's pixels are no whole number of those of level 0, OpenSlide
// interpolates, and by other shares for another begin of a region. So regions
// are read there in chunks, which begin at multiples of this: a pixel is the
// same in all regions.
constexpr int64_t kChunkSide = 256;

// OpenSlide ends the process where there is no memory for a tile, or for an
// associated image: those of damaged files may be said to be of any size.
constexpr int64_t kMostPixelsOfTile = int64_t{1} << 28;

bool IsSane(int64_t rows, int64_t cols) {
  return 0 <= rows && 0 <= cols &&
         (cols == 0 || rows <= kMostPixelsOfTile / cols);
}

int64_t ChunkBegin(int64_t pixel) {
  const int64_t past = pixel % kChunkSide;
  return pixel - (past < 0 ? past + kChunkSide : past);
}

// A part of a color as it shows: what is left of the pixel's own, which was
// multiplied by its alpha, and the background behind it.
uint8_t Over(uint32_t part, uint32_t alpha, uint32_t background) {
  const uint32_t behind = (background * (255 - alpha) + 127) / 255;
  return static_cast<uint8_t>(std::min<uint32_t>(255, part + behind));
}

void ToRgb(const uint32_t* pixels, int64_t count, Rgb background,
           uint8_t* rgb) {
  for (int64_t i = 0; i < count; ++i, rgb += 3) {
    const uint32_t pixel = pixels[i];
    const uint32_t alpha = pixel >> 24;
    if (alpha == 255) {
      rgb[0] = static_cast<uint8_t>(pixel >> 16);
      rgb[1] = static_cast<uint8_t>(pixel >> 8);
      rgb[2] = static_cast<uint8_t>(pixel);
      continue;
    }
    rgb[0] = Over(pixel >> 16 & 255, alpha, background[0]);
    rgb[1] = Over(pixel >> 8 & 255, alpha, background[1]);
    rgb[2] = Over(pixel & 255, alpha, background[2]);
  }
}

std::vector<std::string> ToList(const char* const* names) {
  std::vector<std::string> list;
  for (; names != nullptr && *names != nullptr; ++names) list.push_back(*names);
  return list;
}

absl::Status Refusal(const std::string& path, const OpenSlide& library) {
  struct stat found;
  if (stat(path.c_str(), &found) != 0) {
    return absl::NotFoundError(absl::StrCat("There is no slide ", path, ": ",
                                            std::strerror(errno), "."));
  }
  const char* const vendor = library.detect_vendor(path.c_str());
  if (vendor == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is no slide that OpenSlide can read."));
  }
  return absl::DataLossError(
      absl::StrCat("The slide ", path, " (", vendor, ") cannot be opened."));
}

int64_t ToNumber(const char* text) {
  return text != nullptr ? std::strtoll(text, nullptr, 10) : 0;
}

// "RRGGBB"
Rgb ToColor(const char* text, Rgb otherwise) {
  if (text == nullptr || std::strlen(text) != 6) return otherwise;
  char* end;
  const uint64_t value = std::strtoul(text, &end, 16);
  if (*end != '\0') return otherwise;
  return {static_cast<uint8_t>(value >> 16), static_cast<uint8_t>(value >> 8),
          static_cast<uint8_t>(value)};
}

}  // namespace

absl::StatusOr<std::unique_ptr<Slide>> Slide::Open(const std::string& path,
                                                   OpenSlideCache* cache) {
  std::string missing;
  const OpenSlide* const library = GetOpenSlide(&missing);
  if (library == nullptr) return absl::FailedPreconditionError(missing);
  OpenSlideHandle* const handle = library->open(path.c_str());
  if (handle == nullptr) return Refusal(path, *library);
  std::unique_ptr<Slide> slide(new Slide(*library, handle, path));
  if (library->get_error(handle) != nullptr) return slide->Error();
  if (cache != nullptr) library->set_cache(handle, cache);
  const absl::Status status = slide->ReadLevels();
  if (!status.ok()) return status;
  slide->background_ =
      ToColor(library->get_property_value(handle, "openslide.background-color"),
              slide->background_);
  return slide;
}

Slide::~Slide() { library_.close(handle_); }

absl::Status Slide::ReadLevels() {
  const int32_t count = library_.get_level_count(handle_);
  for (int32_t i = 0; i < count; ++i) {
    Level level;
    library_.get_level_dimensions(handle_, i, &level.cols, &level.rows);
    level.downsample = library_.get_level_downsample(handle_, i);
    levels_.push_back(level);
    const int64_t tile_rows = ToNumber(LevelProperty(i, "tile-height"));
    const int64_t tile_cols = ToNumber(LevelProperty(i, "tile-width"));
    if (!IsSane(tile_rows, tile_cols)) {
      return absl::DataLossError(absl::StrCat(
          "The slide ", path_, " cannot be read: level ", i, " has tiles of ",
          tile_rows, " rows and ", tile_cols, " cols."));
    }
  }
  if (library_.get_error(handle_) != nullptr) return Error();
  if (!levels_.empty()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("The slide ", path_, " is empty."));
}

const char* Slide::LevelProperty(int32_t level, const char* name) const {
  const std::string full = absl::StrCat("openslide.level[", level, "].", name);
  return library_.get_property_value(handle_, full.c_str());
}

absl::Status Slide::Error() const {
  const char* const error = library_.get_error(handle_);
  return absl::DataLossError(
      absl::StrCat("The slide ", path_,
                   " cannot be read: ", error != nullptr ? error : "?", "."));
}

std::vector<std::pair<std::string, std::string>> Slide::Properties() const {
  std::vector<std::pair<std::string, std::string>> properties;
  for (const std::string& name : ToList(library_.get_property_names(handle_))) {
    const char* const value =
        library_.get_property_value(handle_, name.c_str());
    if (value != nullptr) properties.emplace_back(name, value);
  }
  return properties;
}

std::vector<std::string> Slide::AssociatedImages() const {
  return ToList(library_.get_associated_image_names(handle_));
}

absl::Status Slide::Read(const Region& region, Rgb background,
                         uint8_t* rgb) const {
  const Level& level = levels_[region.level];
  const bool is_whole = level.downsample == std::floor(level.downsample);
  const int64_t first_row = is_whole ? region.row : ChunkBegin(region.row);
  const int64_t first_col = is_whole ? region.col : ChunkBegin(region.col);
  const int64_t end_row = region.row + region.rows;
  const int64_t end_col = region.col + region.cols;
  const int64_t cols_at_once = is_whole ? region.cols : kChunkSide;
  const int64_t rows_at_once =
      is_whole
          ? std::clamp<int64_t>(kPixelsAtOnce / region.cols, 1, region.rows)
          : kChunkSide;
  const std::unique_ptr<uint32_t[]> pixels(
      new (std::nothrow) uint32_t[rows_at_once * cols_at_once]);
  if (pixels == nullptr) {
    return absl::ResourceExhaustedError(
        absl::StrCat("There is no memory for a row of ", region.cols,
                     " pixels of the slide ", path_, "."));
  }
  const auto at_level_0 = [&](int64_t pixel) {
    return std::llround(static_cast<double>(pixel) * level.downsample);
  };
  for (int64_t row = first_row; row < end_row; row += rows_at_once) {
    const int64_t rows = std::min(rows_at_once, end_row - row);
    for (int64_t col = first_col; col < end_col; col += cols_at_once) {
      const int64_t cols = std::min(cols_at_once, end_col - col);
      library_.read_region(handle_, pixels.get(), at_level_0(col),
                           at_level_0(row), static_cast<int32_t>(region.level),
                           cols, rows);
      if (library_.get_error(handle_) != nullptr) return Error();
      const int64_t left = std::max(col, region.col);
      for (int64_t i = std::max(row, region.row); i < row + rows; ++i) {
        ToRgb(&pixels[(i - row) * cols + left - col], col + cols - left,
              background,
              rgb + ((i - region.row) * region.cols + left - region.col) * 3);
      }
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::pair<int64_t, int64_t>> Slide::AssociatedSize(
    const std::string& name) const {
  const std::vector<std::string> names = AssociatedImages();
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("The slide ", path_, " has no image '", name, "'."));
  }
  int64_t rows = -1, cols = -1;
  library_.get_associated_image_dimensions(handle_, name.c_str(), &cols, &rows);
  if (rows < 0 || cols < 0) return Error();
  if (IsSane(rows, cols)) return std::pair(rows, cols);
  return absl::DataLossError(
      absl::StrCat("The slide ", path_, " cannot be read: the image '", name,
                   "' has ", rows, " rows and ", cols, " cols."));
}

absl::Status Slide::ReadAssociated(const std::string& name, Rgb background,
                                   uint8_t* rgb) const {
  const auto size = AssociatedSize(name);
  if (!size.ok()) return size.status();
  const int64_t count = size->first * size->second;
  const std::unique_ptr<uint32_t[]> pixels(new (std::nothrow) uint32_t[count]);
  if (pixels == nullptr) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "There is no memory for the image '", name, "' of ", path_, "."));
  }
  library_.read_associated_image(handle_, name.c_str(), pixels.get());
  if (library_.get_error(handle_) != nullptr) return Error();
  ToRgb(pixels.get(), count, background, rgb);
  return absl::OkStatus();
}

}  // namespace tf_patches
