// OpenSlide's C interface, loaded when the first slide is opened: the library
// builds and loads without it.
#ifndef TF_PATCHES_SLIDES_OPENSLIDE_H_
#define TF_PATCHES_SLIDES_OPENSLIDE_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace tf_patches {

// OpenSlide's own types, of which only pointers are known.
struct OpenSlideHandle;
struct OpenSlideCache;

// The functions of OpenSlide, as its header declares them. Version 3 has no
// cache that slides share: its three functions are null there.
struct OpenSlide {
  const char* (*detect_vendor)(const char* path);
  OpenSlideHandle* (*open)(const char* path);
  void (*close)(OpenSlideHandle* slide);
  const char* (*get_error)(OpenSlideHandle* slide);
  int32_t (*get_level_count)(OpenSlideHandle* slide);
  void (*get_level_dimensions)(OpenSlideHandle* slide, int32_t level,
                               int64_t* width, int64_t* height);
  double (*get_level_downsample)(OpenSlideHandle* slide, int32_t level);
  void (*read_region)(OpenSlideHandle* slide, uint32_t* pixels, int64_t x,
                      int64_t y, int32_t level, int64_t width, int64_t height);
  const char* const* (*get_property_names)(OpenSlideHandle* slide);
  const char* (*get_property_value)(OpenSlideHandle* slide, const char* name);
  const char* const* (*get_associated_image_names)(OpenSlideHandle* slide);
  void (*get_associated_image_dimensions)(OpenSlideHandle* slide,
                                          const char* name, int64_t* width,
                                          int64_t* height);
  void (*read_associated_image)(OpenSlideHandle* slide, const char* name,
                                uint32_t* pixels);
  OpenSlideCache* (*cache_create)(size_t bytes);
  void (*set_cache)(OpenSlideHandle* slide, OpenSlideCache* cache);
  void (*cache_release)(OpenSlideCache* cache);
};

// Where OpenSlide's library lies; until this is called it is looked for where
// the system keeps libraries. Has no effect once a slide has been opened.
void SetOpenSlidePath(const std::string& path);

// The functions, or null, and then `error` says why in a sentence. What went
// wrong once is tried again.
const OpenSlide* GetOpenSlide(std::string* error);

}  // namespace tf_patches

#endif  // TF_PATCHES_SLIDES_OPENSLIDE_H_
