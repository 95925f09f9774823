#include "native/requests.h"

#include <algorithm>
#include <optional>

#include "native/walk.h"

namespace tf_patches {
namespace {

// Few values, so that a naive loop over them is quick; many now and then.
int64_t Limit(Random& random) { return random.OneIn(10) ? 1 << 16 : 1 << 12; }

// Nothing where the request is invalid.
std::optional<int64_t> PatchValues(const Request& request) {
  int64_t values = request.images[0] * request.depth();
  for (int i = 0; i < kMostAxes; ++i) {
    const AxisSpec& axis = request.spec.axis[i];
    const std::optional<Walk> walk =
        WalkAxis(request.space()[i], axis, request.spec.padding);
    if (!walk) return std::nullopt;
    if (__builtin_mul_overflow(values, walk->count * axis.size, &values)) {
      return std::nullopt;
    }
  }
  return values;
}

Padding AnyPadding(Random& random) {
  return random.Of({Padding::kSame, Padding::kValid});
}

int64_t AnyDepth(Random& random) {
  return random.Of<int64_t>(
      {1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 16, 33, random.Between(1, 33)});
}

// Overlapping, side by side, apart, or out of the image at once.
int64_t AnyStride(Random& random, int64_t size) {
  if (random.OneIn(40)) return kInt32Max;
  return random.Of<int64_t>(
      {1, 1, random.Between(1, size), size, size, size + random.Between(1, 5)});
}

int64_t AnyRate(Random& random, int64_t size) {
  if (random.OneIn(20)) return size == 1 ? kInt32Max : kInt32Max / size;
  return random.Of<int64_t>({1, 1, 1, 2, 3, random.Between(1, 7)});
}

AxisSpec AnyAxis(Random& random, int64_t image) {
  const int64_t size =
      random.Of<int64_t>({1, random.Between(1, 5), random.Between(1, 5),
                          random.Between(1, 17), image});
  const int64_t rate = AnyRate(random, size);
  return {size, AnyStride(random, (size - 1) * rate + 1), rate};
}

Request AnyRequest(Random& random) {
  const int64_t rows = random.Of<int64_t>(
      {1, random.Between(1, 6), random.Between(1, 6), random.Between(1, 24)});
  const int64_t cols =
      random.Of<int64_t>({1, random.Between(1, 8), random.Between(1, 24),
                          random.Between(1, 24), random.Between(60, 250)});
  const int64_t batch = random.Between(1, 3);
  const int64_t depth = AnyDepth(random);
  const AxisSpec down = AnyAxis(random, rows);
  const AxisSpec across = AnyAxis(random, cols);
  return Flat({batch, rows, cols, depth}, down, across, AnyPadding(random));
}

// Patches as wide as the image, as tall, or both.
Request FullRequest(Random& random) {
  Request request = AnyRequest(random);
  AxisSpec& rows = request.spec.axis[1];
  AxisSpec& cols = request.spec.axis[2];
  if (!random.OneIn(3)) cols = {request.images[2], cols.stride, 1};
  if (!random.OneIn(3)) rows = {request.images[1], rows.stride, 1};
  return request;
}

// Patches side by side that need not fill the image.
Request TiledRequest(Random& random) {
  const int64_t height = random.Of<int64_t>({1, 1, random.Between(1, 6)});
  const int64_t width = random.Between(1, 12);
  const int64_t batch = random.Between(1, 2);
  const int64_t rows = height * random.Between(1, 4);
  const int64_t cols =
      width * random.Between(1, 9) + random.Between(0, width - 1);
  return Flat({batch, rows, cols, AnyDepth(random)}, {height, height, 1},
              {width, width, 1}, AnyPadding(random));
}

// 1 x N or N x 1.
Request LineRequest(Random& random) {
  const int64_t size = random.Between(1, 70);
  const int64_t stride = AnyStride(random, size);
  const int64_t along = size + std::min(stride, size) * random.Between(0, 9);
  const int64_t other = random.Between(1, 4);
  const int64_t depth = AnyDepth(random);
  const Padding padding = AnyPadding(random);
  const AxisSpec line = {size, stride, random.Of<int64_t>({1, 1, 2})};
  const AxisSpec point = {1, random.Between(1, 2), 1};
  if (random.OneIn(2)) {
    return Flat({1, along, other, depth}, line, point, padding);
  }
  return Flat({1, other, along, depth}, point, line, padding);
}

// Patches of hundreds of pixels, many in a row of the grid.
Request LargePatchRequest(Random& random) {
  const AxisSpec rows = {random.Between(1, 25), random.Between(1, 3), 1};
  const AxisSpec cols = {random.Between(1, 25), random.Between(1, 3),
                         random.Between(1, 2)};
  const int64_t height = rows.size + random.Between(0, 3);
  const int64_t width = cols.size * cols.rate + random.Between(10, 90);
  const int64_t depth = random.Of<int64_t>({1, 1, 2, 3});
  return Flat({1, height, width, depth}, rows, cols, AnyPadding(random));
}

// As another request, with planes.
Request VolumeRequest(Random& random) {
  Request request = AnyRequest(random);
  const int64_t planes =
      random.Of<int64_t>({1, random.Between(1, 4), random.Between(1, 9)});
  request.images.insert(request.images.begin() + 1, planes);
  request.spec.axes = 3;
  request.spec.axis[0] = AnyAxis(random, planes);
  return request;
}

// As another request, without its rows.
Request SignalRequest(Random& random) {
  Request request =
      random.OneIn(2) ? AnyRequest(random) : LargePatchRequest(random);
  request.images.erase(request.images.begin() + 1);
  request.spec.axes = 1;
  request.spec.axis[1] = {};
  return request;
}

// Pixels beyond an edge of the image: few, or more than the image has.
int64_t AnyBorder(Random& random, int64_t image) {
  return random.Of<int64_t>({0, random.Between(0, 3), random.Between(0, image),
                             random.Between(0, 3 * image)});
}

// Shows what lies outside otherwise.
void ChangeBorder(Random& random, Request* request) {
  PatchSpec& spec = request->spec;
  spec.border = random.Of({Border::kConstant, Border::kReflect,
                           Border::kSymmetric, Border::kEdge, Border::kWrap});
  spec.padding = random.Of({Padding::kSame, Padding::kSameUnclamped,
                            Padding::kExplicit, Padding::kExplicit});
  if (spec.padding != Padding::kExplicit) return;
  for (int i = kMostAxes - spec.axes; i < kMostAxes; ++i) {
    spec.axis[i].before = AnyBorder(random, request->space()[i]);
    spec.axis[i].after = AnyBorder(random, request->space()[i]);
  }
}

int64_t AnyDivisor(Random& random, int64_t number, int64_t limit) {
  for (;;) {
    const int64_t divisor = random.Between(1, std::min(number, limit));
    if (number % divisor == 0) return divisor;
  }
}

// Patches with rows of `run` values that overlap, adjoin or lie apart.
template <typename Visit>
void ForEachRun(const Visit& visit) {
  for (int64_t run = 1; run <= 300; ++run) {
    for (const Padding padding : {Padding::kSame, Padding::kValid}) {
      for (const int64_t change : {-1, 0, 1}) {
        Random random(run * 8 + change * 2 + (padding == Padding::kSame));
        const int64_t depth = AnyDivisor(random, run, 33);
        const int64_t size = run / depth;
        const int64_t stride =
            std::max<int64_t>(1, size + change * random.Between(1, size));
        const int64_t count = random.Between(1, 1 + 1200 / run);
        const int64_t width =
            size + (count - 1) * stride + random.Between(0, stride - 1);
        const AxisSpec rows = {random.Between(1, 3), random.Between(1, 3), 1};
        visit(Flat({1, random.Between(rows.size, 5), width, depth}, rows,
                   {size, stride, 1}, padding),
              random);
      }
    }
  }
}

template <typename Visit>
void ForEachWindow(const Visit& visit) {
  for (const int64_t depth : {1, 2, 3, 4, 5, 6, 7, 8, 16, 33}) {
    for (int64_t size = 1; size <= 8; ++size) {
      for (int64_t stride = 1; stride <= size + 1; ++stride) {
        for (int64_t rate = 1; rate <= 2; ++rate) {
          Random random(((depth * 9 + size) * 10 + stride) * 2 + rate);
          const int64_t most = std::max<int64_t>(2, 600 / (depth * size));
          const int64_t width = (size - 1) * rate +
                                stride * random.Between(1, most) +
                                random.Between(0, stride - 1);
          const AxisSpec rows = {random.Between(1, 3), random.Between(1, 3),
                                 rate};
          visit(Flat({1, random.Between(5, 7), width, depth}, rows,
                     {size, stride, rate}, AnyPadding(random)),
                random);
        }
      }
    }
  }
}

std::ostream& operator<<(std::ostream& out, const AxisSpec& axis) {
  out << "{size " << axis.size << ", stride " << axis.stride << ", rate "
      << axis.rate;
  if (axis.before + axis.after == 0) return out << "}";
  return out << ", before " << axis.before << ", after " << axis.after << "}";
}

}  // namespace

std::array<int64_t, kMostAxes> Request::space() const {
  std::array<int64_t, kMostAxes> space = {1, 1, 1};
  std::copy_backward(images.begin() + 1, images.end() - 1, space.end());
  return space;
}

Request Flat(const std::array<int64_t, 4>& images, const AxisSpec& rows,
             const AxisSpec& cols, Padding padding, Border border) {
  return {Shape(images.begin(), images.end()),
          {2, {AxisSpec(), rows, cols}, padding, border}};
}

Request RandomRequest(Random& random) {
  const int64_t limit = Limit(random);
  for (;;) {
    const auto make = random.Of({AnyRequest, AnyRequest, FullRequest,
                                 TiledRequest, LineRequest, LargePatchRequest,
                                 VolumeRequest, VolumeRequest, SignalRequest});
    Request request = make(random);
    if (random.OneIn(2)) ChangeBorder(random, &request);
    if (PatchValues(request).value_or(limit + 1) <= limit) return request;
  }
}

std::ostream& operator<<(std::ostream& out, const Axis& axis) {
  return out << "{image " << axis.image << ", patch " << axis.patch
             << ", stride " << axis.stride << ", rate " << axis.rate
             << ", pad_before " << axis.pad_before << ", count " << axis.count
             << ", border " << static_cast<int>(axis.border) << "}";
}

std::ostream& operator<<(std::ostream& out, const Request& request) {
  static constexpr const char* kPaddings[] = {"VALID", "SAME", "SAME_UNCLAMPED",
                                              "EXPLICIT"};
  static constexpr const char* kBorders[] = {"CONSTANT", "REFLECT", "SYMMETRIC",
                                             "EDGE", "WRAP"};
  out << "images " << ToString(request.images);
  for (int i = kMostAxes - request.spec.axes; i < kMostAxes; ++i) {
    out << ", " << kAxisNames[i] << " " << request.spec.axis[i];
  }
  return out << ", " << kPaddings[static_cast<int>(request.spec.padding)]
             << ", " << kBorders[static_cast<int>(request.spec.border)];
}

void ForEachRequest(
    int64_t cases,
    const std::function<void(const Request& request, Random& random)>& visit) {
  ForEachRun(visit);
  ForEachWindow(visit);
  for (int64_t seed = 0; seed < cases; ++seed) {
    Random random(seed);
    const Request request = RandomRequest(random);
    visit(request, random);
  }
}

}  // namespace tf_patches
