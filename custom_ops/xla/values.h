// What lowerings do with the values of images and patches.
#ifndef TF_PATCHES_XLA_VALUES_H_
#define TF_PATCHES_XLA_VALUES_H_

#include <cstdint>
#include <functional>
#include <numeric>
#include <vector>

#include "absl/types/span.h"
#include "geometry/patch_grid.h"
#include "kernels/weights.h"
#include "xla/arithmetic.h"
#include "xla/hlo/builder/lib/constants.h"
#include "xla/hlo/builder/xla_builder.h"
#include "xla/primitive_util.h"
#include "xla/xla_data.pb.h"

namespace tf_patches {

inline int64_t Product(absl::Span<const int64_t> numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), int64_t{1},
                         std::multiplies<>());
}

// How many places apart neighbours along `axis` are in a tensor of `shape`.
inline int64_t StepOf(const Shape& shape, size_t axis) {
  return Product(absl::MakeSpan(shape).subspan(axis + 1));
}

// `count` axes of a tensor, from `first` on.
inline std::vector<int64_t> AxesFrom(int64_t first, int64_t count) {
  std::vector<int64_t> axes(count);
  std::iota(axes.begin(), axes.end(), first);
  return axes;
}

// `values[:, places, :]`, and `otherwise` for what lies nowhere. `values` are
// `[batch, all places, depth]`, `places` of `shape`.
inline xla::XlaOp Fetch(int64_t batch, int64_t depth, xla::XlaOp values,
                        xla::XlaOp places, const Shape& shape,
                        xla::XlaOp otherwise) {
  const int64_t rank = shape.size();
  xla::GatherDimensionNumbers dimensions;
  dimensions.add_offset_dims(0);
  dimensions.add_offset_dims(rank + 1);
  dimensions.add_collapsed_slice_dims(1);
  dimensions.add_start_index_map(1);
  dimensions.set_index_vector_dim(rank);
  // A negative index fetches what is at 0.
  const xla::XlaOp fetched =
      xla::Gather(values, places, dimensions, {batch, 1, depth});

  Shape all = shape;
  all.insert(all.begin(), batch);
  all.push_back(depth);
  return xla::Select(xla::BroadcastInDim(places >= 0, all, AxesFrom(1, rank)),
                     fetched, xla::Broadcast(otherwise, all));
}

// An integer of as many bits: nothing rounds it, or makes a NaN quiet.
inline xla::PrimitiveType BitsOf(xla::PrimitiveType type) {
  if (!xla::primitive_util::IsFloatingPointType(type)) return type;
  return xla::primitive_util::UnsignedIntegralTypeForBitWidth(
      xla::primitive_util::BitWidth(type));
}

inline bool IsShortFloat(xla::PrimitiveType type) {
  return xla::primitive_util::IsFloatingPointType(type) &&
         xla::primitive_util::BitWidth(type) == 16;
}

// What numbers of a type are weighted in, as kernels/weights.h has it.
inline xla::PrimitiveType WeightedType(xla::PrimitiveType type) {
  return IsShortFloat(type) ? xla::F32 : type;
}

// `weights` times `values`, of one shape; 0 where the weight is 0, even of a
// NaN. Rounded before anything is added to it.
inline xla::XlaOp Weighted(xla::XlaOp weights, xla::XlaOp values) {
  const xla::XlaOp zero = xla::ZerosLike(values);
  return xla::OptimizationBarrier(
      xla::Select(xla::Eq(weights, zero), zero, weights * values));
}

// `sums` divided by the sums of their weights, of the same shape and `type`; 0
// if the weights sum to 0.
inline xla::XlaOp Quotient(xla::PrimitiveType type, xla::XlaOp sums,
                           xla::XlaOp weights) {
  xla::XlaOp quotient = sums / weights;
  if (xla::primitive_util::IsComplexType(type)) {
    // A real number divides each part by itself, as in kernels/number.h.
    const xla::XlaOp divisor = xla::Real(weights);
    const xla::XlaOp rest = xla::Imag(weights);
    quotient = xla::Select(
        xla::Eq(rest, xla::ZerosLike(rest)),
        xla::Complex(xla::Real(sums) / divisor, xla::Imag(sums) / divisor),
        quotient);
  }
  const xla::XlaOp zero = xla::ZerosLike(sums);
  return xla::Select(xla::Eq(weights, zero), zero, quotient);
}

}  // namespace tf_patches

#endif  // TF_PATCHES_XLA_VALUES_H_
