// Patches that each have a position of their own.
#ifndef TF_PATCHES_GEOMETRY_PLACEMENT_H_
#define TF_PATCHES_GEOMETRY_PLACEMENT_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "geometry/axis.h"
#include "geometry/error.h"
#include "geometry/patch_grid.h"
#include "geometry/patch_spec.h"

namespace tf_patches {

// What a caller asks for, in a list of one integer for each axis of space.
struct PlacementAttributes {
  std::vector<int64_t> sizes;
  std::vector<int64_t> rates;
  Border border = Border::kConstant;

  int axes() const { return static_cast<int>(sizes.size()); }
};

// The pixel under the first tap of a patch, inside the image or not, and the
// axes along which the patch is stored backwards. An axis that images lack has
// position 0.
struct Place {
  std::array<int64_t, kMostAxes> position = {};
  std::array<bool, kMostAxes> is_flipped = {};
};

// Images are `[batch, planes, rows, cols, depth]`, patches `[batch, count,
// planes, rows, cols, depth]`, both row-major; shapes have the last `axes` of
// the axes of space alone. The bytes of either, for elements of up to 16, fit
// in 63 bits.
struct Placement {
  int64_t batch = 1;
  int64_t count = 0;  // of patches of an image
  int axes = 2;
  std::array<Axis, kMostAxes> axis;  // of a patch at position 0
  int64_t depth = 1;
  std::vector<Place> places;  // `count` for all images, or as many for each

  int64_t patch_rows() const { return axis[0].patch * axis[1].patch; }
  int64_t image_rows() const { return batch * axis[0].image * axis[1].image; }
  int64_t patch_count() const { return batch * count; }

  Shape image_shape() const;
  Shape patches_shape() const;

  // Of patch `n`, counted over all images.
  const Place& PlaceOf(int64_t n) const { return places[n % places.size()]; }

  // Axis `i`, moved so that its patch is the patch at `place`.
  Axis At(const Place& place, int i) const {
    Axis placed = axis[i];
    placed.pad_before = -place.position[i];
    return placed;
  }
};

// Checks the attributes, without an image.
std::optional<Error> CheckPlacement(const PlacementAttributes& attributes);

// Lays `count` patches on each image of `image_shape`, which is wholly known
// and has as many axes as the attributes; `places` are still to come.
std::optional<Error> MakePlacement(const Shape& image_shape, int64_t count,
                                   const PlacementAttributes& attributes,
                                   Placement* placement);

// Whether an optional tensor of `shape` is missing: then it is an empty vector.
inline bool IsMissing(const Shape& shape) { return shape == Shape{0}; }

// Checks the shapes of positions and flips.
std::optional<Error> CheckPlaceShapes(const Placement& placement,
                                      const Shape& positions,
                                      const Shape& flips);

// Checks the shapes of weights: a window, or factors for each axis, or nothing.
std::optional<Error> CheckWeightShapes(const Placement& placement,
                                       const Shape& window,
                                       const Shape& profiles);

// Numbers for each place, an axis after the other: for the places of each
// image, or for places that all images share.
template <typename T>
struct PlaceNumbers {
  const T* data;
  int64_t size;  // 0 if there are none
};

// Fills `places`. Position is int32_t or int64_t.
template <typename Position>
void FillPlaces(PlaceNumbers<Position> positions, PlaceNumbers<bool> flips,
                Placement* placement) {
  const int64_t axes = placement->axes;
  const int64_t of_image = placement->count * axes;
  const bool differ = std::max(positions.size, flips.size) > of_image;
  if (positions.size == 0) return;
  placement->places.resize(differ ? placement->patch_count()
                                  : placement->count);
  int64_t n = 0;
  for (Place& place : placement->places) {
    for (int i = kMostAxes - axes; i < kMostAxes; ++i, ++n) {
      place.position[i] = positions.data[n % positions.size];
      place.is_flipped[i] = flips.size > 0 && flips.data[n % flips.size];
    }
  }
}

// Checks that every pixel under the patches can be counted.
std::optional<Error> CheckPlaces(const Placement& placement);

// Faults of tensors, which only a front end sees. Shapes come as they are to be
// shown.
Error WrongPositions(int axes, const std::string& shape);
Error WrongFlips(const std::string& positions, const std::string& shape);
Error WrongPlacedPatches(int axes, const std::string& shape);
Error WrongWeights(const std::vector<int64_t>& sizes, const std::string& shape);
Error WrongProfiles(const std::vector<int64_t>& sizes,
                    const std::string& shape);

}  // namespace tf_patches

#endif  // TF_PATCHES_GEOMETRY_PLACEMENT_H_
