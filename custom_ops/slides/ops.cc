// The ops that read slides.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "slides/open_slides.h"
#include "slides/openslide.h"
#include "slides/slide.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor_shape.h"
#include "tensorflow/core/platform/tstring.h"

namespace tf_patches {
namespace {

using ::tensorflow::OpKernel;
using ::tensorflow::OpKernelConstruction;
using ::tensorflow::OpKernelContext;
using ::tensorflow::Tensor;
using ::tensorflow::TensorShape;
using ::tensorflow::tstring;
using ::tensorflow::shape_inference::DimensionHandle;
using ::tensorflow::shape_inference::InferenceContext;
using ::tensorflow::shape_inference::ShapeHandle;

// Bytes of a result that may be asked for, which TensorFlow counts in 63 bits.
constexpr int64_t kMostPixels = INT64_MAX / 16;

absl::Status ReadScalar(const Tensor& tensor, const char* name,
                        std::string* value) {
  if (tensor.dims() != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, " must be a scalar, but got shape ",
                     tensor.shape().DebugString(), "."));
  }
  *value = std::string(tensor.scalar<tstring>()());
  if (value->find('\0') == std::string::npos) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, " must not hold a zero byte."));
}

// The input `background`: three bytes, or none for what the slide says.
absl::Status ReadBackground(const Tensor& tensor, Rgb* background) {
  if (tensor.dims() != 1 ||
      (tensor.NumElements() != 0 && tensor.NumElements() != 3)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "background must be [red, green, blue], or empty for the slide's own, "
        "but got shape ",
        tensor.shape().DebugString(), "."));
  }
  for (int64_t i = 0; i < tensor.NumElements(); ++i) {
    (*background)[i] = tensor.vec<uint8_t>()(i);
  }
  return absl::OkStatus();
}

// Errors other than of arguments: nothing more can be read from that slide.
absl::Status Noting(const std::string& path, absl::Status status) {
  if (absl::IsDataLoss(status)) ForgetSlide(path);
  return status;
}

class DescribeSlideOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    std::string path;
    OP_REQUIRES_OK(context, ReadScalar(context->input(0), "path", &path));
    auto slide = OpenedSlide(path);
    OP_REQUIRES_OK(context, slide.status());
    const auto& levels = (*slide)->levels();
    const auto properties = (*slide)->Properties();
    const auto images = (*slide)->AssociatedImages();
    const auto level_count = static_cast<int64_t>(levels.size());
    const auto property_count = static_cast<int64_t>(properties.size());
    const auto image_count = static_cast<int64_t>(images.size());
    Tensor *sizes, *downsamples, *names, *values, *associated;
    OP_REQUIRES_OK(context, context->allocate_output(
                                0, TensorShape({level_count, 2}), &sizes));
    OP_REQUIRES_OK(context, context->allocate_output(
                                1, TensorShape({level_count}), &downsamples));
    OP_REQUIRES_OK(context, context->allocate_output(
                                2, TensorShape({property_count}), &names));
    OP_REQUIRES_OK(context, context->allocate_output(
                                3, TensorShape({property_count}), &values));
    OP_REQUIRES_OK(context, context->allocate_output(
                                4, TensorShape({image_count}), &associated));
    for (int64_t i = 0; i < level_count; ++i) {
      sizes->matrix<int64_t>()(i, 0) = levels[i].rows;
      sizes->matrix<int64_t>()(i, 1) = levels[i].cols;
      downsamples->vec<double>()(i) = levels[i].downsample;
    }
    for (int64_t i = 0; i < property_count; ++i) {
      names->vec<tstring>()(i) = properties[i].first;
      values->vec<tstring>()(i) = properties[i].second;
    }
    for (int64_t i = 0; i < image_count; ++i) {
      associated->vec<tstring>()(i) = images[i];
    }
  }
};

class ReadSlideOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    std::string path;
    OP_REQUIRES_OK(context, ReadScalar(context->input(0), "path", &path));
    Region region;
    OP_REQUIRES_OK(context, ReadRegion(context->input(1), &region));
    auto slide = OpenedSlide(path);
    OP_REQUIRES_OK(context, slide.status());
    const auto levels = static_cast<int64_t>((*slide)->levels().size());
    OP_REQUIRES(context, 0 <= region.level && region.level < levels,
                absl::InvalidArgumentError(absl::StrCat(
                    "level must be 0 to ", levels - 1, ", as the slide ", path,
                    " has ", levels, ", but got ", region.level, ".")));
    Rgb background = (*slide)->background();
    OP_REQUIRES_OK(context, ReadBackground(context->input(2), &background));
    Tensor* pixels;
    OP_REQUIRES_OK(context,
                   context->allocate_output(
                       0, TensorShape({region.rows, region.cols, 3}), &pixels));
    if (pixels->NumElements() == 0) return;
    OP_REQUIRES_OK(
        context,
        Noting(path, (*slide)->Read(region, background,
                                    static_cast<uint8_t*>(pixels->data()))));
  }

 private:
  // [level, row, col, rows, cols]
  static absl::Status ReadRegion(const Tensor& tensor, Region* region) {
    if (tensor.dims() != 1 || tensor.NumElements() != 5) {
      return absl::InvalidArgumentError(absl::StrCat(
          "region must be [level, row, col, rows, cols], but got shape ",
          tensor.shape().DebugString(), "."));
    }
    const auto values = tensor.vec<int64_t>();
    *region = {values(0), values(1), values(2), values(3), values(4)};
    const int64_t furthest = int64_t{1} << 40;
    const bool is_far = std::min(region->row, region->col) < -furthest ||
                        std::max(region->row, region->col) > furthest;
    int64_t count;
    if (region->rows < 0 || region->cols < 0 || is_far ||
        __builtin_mul_overflow(region->rows, region->cols, &count) ||
        count > kMostPixels) {
      return absl::InvalidArgumentError(absl::StrCat(
          "region must have at least 0 rows and cols, at most as many as can "
          "be addressed, within 2^40 pixels of the slide, but got rows ",
          region->rows, " and cols ", region->cols, " at row ", region->row,
          " and col ", region->col, "."));
    }
    return absl::OkStatus();
  }
};

class ReadSlideImageOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    std::string path, name;
    OP_REQUIRES_OK(context, ReadScalar(context->input(0), "path", &path));
    OP_REQUIRES_OK(context, ReadScalar(context->input(1), "image", &name));
    auto slide = OpenedSlide(path);
    OP_REQUIRES_OK(context, slide.status());
    Rgb background = (*slide)->background();
    OP_REQUIRES_OK(context, ReadBackground(context->input(2), &background));
    const auto size = (*slide)->AssociatedSize(name);
    OP_REQUIRES_OK(context, Noting(path, size.status()));
    Tensor* pixels;
    OP_REQUIRES_OK(
        context, context->allocate_output(
                     0, TensorShape({size->first, size->second, 3}), &pixels));
    OP_REQUIRES_OK(context,
                   Noting(path, (*slide)->ReadAssociated(
                                    name, background,
                                    static_cast<uint8_t*>(pixels->data()))));
  }
};

absl::Status CheckBackground(InferenceContext* c, int input) {
  ShapeHandle background;
  return c->WithRank(c->input(input), 1, &background);
}

absl::Status DescribeSlideShape(InferenceContext* c) {
  ShapeHandle path;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 0, &path));
  const DimensionHandle levels = c->UnknownDim();
  const ShapeHandle properties = c->Vector(c->UnknownDim());
  c->set_output(0, c->Matrix(levels, 2));
  c->set_output(1, c->Vector(levels));
  c->set_output(2, properties);
  c->set_output(3, properties);
  c->set_output(4, c->Vector(c->UnknownDim()));
  return absl::OkStatus();
}

absl::Status ReadSlideShape(InferenceContext* c) {
  ShapeHandle path, region;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 0, &path));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 1, &region));
  TF_RETURN_IF_ERROR(CheckBackground(c, 2));
  DimensionHandle rows = c->UnknownDim();
  DimensionHandle cols = c->UnknownDim();
  const Tensor* const known = c->input_tensor(1);
  if (known != nullptr && known->NumElements() == 5) {
    const auto values = known->vec<int64_t>();
    if (values(3) >= 0) rows = c->MakeDim(values(3));
    if (values(4) >= 0) cols = c->MakeDim(values(4));
  }
  c->set_output(0, c->MakeShape({rows, cols, c->MakeDim(3)}));
  return absl::OkStatus();
}

absl::Status ReadSlideImageShape(InferenceContext* c) {
  ShapeHandle scalar;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 0, &scalar));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 0, &scalar));
  TF_RETURN_IF_ERROR(CheckBackground(c, 2));
  c->set_output(
      0, c->MakeShape({c->UnknownDim(), c->UnknownDim(), c->MakeDim(3)}));
  return absl::OkStatus();
}

// Stateful, as files change: no result is folded into a constant.
REGISTER_OP("TFPatches>DescribeSlide")
    .Input("path: string")
    .Output("sizes: int64")
    .Output("downsamples: double")
    .Output("property_names: string")
    .Output("property_values: string")
    .Output("image_names: string")
    .SetIsStateful()
    .SetShapeFn(DescribeSlideShape);

REGISTER_OP("TFPatches>ReadSlide")
    .Input("path: string")
    .Input("region: int64")
    .Input("background: uint8")
    .Output("pixels: uint8")
    .SetIsStateful()
    .SetShapeFn(ReadSlideShape);

REGISTER_OP("TFPatches>ReadSlideImage")
    .Input("path: string")
    .Input("image: string")
    .Input("background: uint8")
    .Output("pixels: uint8")
    .SetIsStateful()
    .SetShapeFn(ReadSlideImageShape);

REGISTER_KERNEL_BUILDER(
    Name("TFPatches>DescribeSlide").Device(tensorflow::DEVICE_CPU),
    DescribeSlideOp);
REGISTER_KERNEL_BUILDER(
    Name("TFPatches>ReadSlide").Device(tensorflow::DEVICE_CPU), ReadSlideOp);
REGISTER_KERNEL_BUILDER(
    Name("TFPatches>ReadSlideImage").Device(tensorflow::DEVICE_CPU),
    ReadSlideImageOp);

}  // namespace
}  // namespace tf_patches

// Called from Python, which knows where openslide-bin keeps its library.
extern "C" __attribute__((visibility("default"))) void
TfPatchesSetOpenSlidePath(const char* path) {
  tf_patches::SetOpenSlidePath(path);
}
