// XLA's integers and ours in one expression.
#ifndef TF_PATCHES_XLA_ARITHMETIC_H_
#define TF_PATCHES_XLA_ARITHMETIC_H_

#include <cstdint>

#include "xla/hlo/builder/lib/constants.h"
#include "xla/hlo/builder/xla_builder.h"

namespace tf_patches {

inline xla::XlaOp operator+(xla::XlaOp a, int64_t b) {
  return xla::Add(a, xla::ScalarLike(a, b));
}
inline xla::XlaOp operator-(xla::XlaOp a, int64_t b) {
  return xla::Sub(a, xla::ScalarLike(a, b));
}
inline xla::XlaOp operator*(xla::XlaOp a, int64_t b) {
  return xla::Mul(a, xla::ScalarLike(a, b));
}
inline xla::XlaOp operator%(xla::XlaOp a, int64_t b) {
  return xla::Rem(a, xla::ScalarLike(a, b));
}
inline xla::XlaOp operator>=(xla::XlaOp a, int64_t b) {
  return xla::Ge(a, xla::ScalarLike(a, b));
}
inline xla::XlaOp operator<(xla::XlaOp a, int64_t b) {
  return xla::Lt(a, xla::ScalarLike(a, b));
}

}  // namespace tf_patches

#endif  // TF_PATCHES_XLA_ARITHMETIC_H_
