// Why a request for patches cannot be met, told without TensorFlow's Status.
#ifndef TF_PATCHES_GEOMETRY_ERROR_H_
#define TF_PATCHES_GEOMETRY_ERROR_H_

#include <string>

namespace tf_patches {

// The classes TensorFlow's own op answers with.
enum class ErrorKind { kInvalidArgument, kOutOfRange, kUnimplemented };

struct Error {
  ErrorKind kind;
  std::string message;
};

}  // namespace tf_patches

#endif  // TF_PATCHES_GEOMETRY_ERROR_H_
