#include "slides/openslide.h"

#include <dlfcn.h>

#include <mutex>
#include <vector>

namespace tf_patches {
namespace {

std::mutex mutex;
std::string given_path;

template <typename Function>
bool Find(void* library, const char* name, Function* function) {
  *function = reinterpret_cast<Function>(dlsym(library, name));
  return *function != nullptr;
}

// False if a function is missing that every version has.
bool FindAll(void* library, OpenSlide* slide) {
  Find(library, "openslide_cache_create", &slide->cache_create);
  Find(library, "openslide_set_cache", &slide->set_cache);
  Find(library, "openslide_cache_release", &slide->cache_release);
  return Find(library, "openslide_detect_vendor", &slide->detect_vendor) &&
         Find(library, "openslide_open", &slide->open) &&
         Find(library, "openslide_close", &slide->close) &&
         Find(library, "openslide_get_error", &slide->get_error) &&
         Find(library, "openslide_get_level_count", &slide->get_level_count) &&
         Find(library, "openslide_get_level_dimensions",
              &slide->get_level_dimensions) &&
         Find(library, "openslide_get_level_downsample",
              &slide->get_level_downsample) &&
         Find(library, "openslide_read_region", &slide->read_region) &&
         Find(library, "openslide_get_property_names",
              &slide->get_property_names) &&
         Find(library, "openslide_get_property_value",
              &slide->get_property_value) &&
         Find(library, "openslide_get_associated_image_names",
              &slide->get_associated_image_names) &&
         Find(library, "openslide_get_associated_image_dimensions",
              &slide->get_associated_image_dimensions) &&
         Find(library, "openslide_read_associated_image",
              &slide->read_associated_image);
}

}  // namespace

void SetOpenSlidePath(const std::string& path) {
  const std::lock_guard<std::mutex> lock(mutex);
  given_path = path;
}

const OpenSlide* GetOpenSlide(std::string* error) {
  const std::lock_guard<std::mutex> lock(mutex);
  static OpenSlide functions;
  static bool is_loaded = false;
  if (is_loaded) return &functions;
  std::vector<std::string> paths = {"libopenslide.so.1", "libopenslide.so.0"};
  if (!given_path.empty()) paths = {given_path};
  std::string reason;
  for (const std::string& path : paths) {
    void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library != nullptr) {
      is_loaded = FindAll(library, &functions);
      if (is_loaded) return &functions;
      dlclose(library);
    }
    const char* const why = dlerror();
    reason = why != nullptr ? why : path + " lacks functions";
  }
  *error = "Slides are read by OpenSlide, which cannot be loaded (" + reason +
           "). Install it: pip install openslide-bin";
  return nullptr;
}

}  // namespace tf_patches
