"""Who is measured: each peer is a function from a case to a call to time."""

import importlib.util
import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from unittest.mock import patch

import numpy as np
import tensorflow as tf

import tf_patches
from benchmarks.cases import Case, make_images
from benchmarks.measure import Call

Prepare = Callable[[Case, str], Call]
Function = Callable[..., tf.Tensor]


class UnfitError(Exception):
    """A peer cannot do a case; the message says why."""


@dataclass(frozen=True)
class Peer:
    """`prepare` gets a case and a dtype and returns what is to be timed."""

    name: str
    prepare: Prepare
    needs: str = "tensorflow"

    @property
    def installed(self) -> bool:
        return importlib.util.find_spec(self.needs) is not None


US = "tf_patches"
BUILTIN = "tensorflow"
ACCELERATED = "tensorflow accelerated"
CONSTANT = "tf_patches, mode CONSTANT"
PADDED = "tf.pad, then tf_patches"
COPY = "copy"
WARM_COPY = "warm copy"
FUNCTION = "tf_patches tf.function"
XLA = "tf_patches XLA"
HLO = "tf_patches XLA, HLO"
BUILTIN_XLA = "tensorflow XLA"

# A convolution with a one-hot filter needs this filter.
_MOST_FILTER_BYTES = 1 << 30


def _patches(case: Case, dtype: str) -> tf.Tensor:
    return tf_patches.extract_patches(make_images(case, dtype), **case.grid)


def _ours(case: Case, dtype: str) -> Call:
    images, grid = tf.constant(make_images(case, dtype)), case.grid
    return lambda: tf_patches.extract_patches(images, **grid)


def _ours_in_a_function(case: Case, dtype: str) -> Call:
    images, grid = tf.constant(make_images(case, dtype)), case.grid
    function = tf.function(lambda x: tf_patches.extract_patches(x, **grid))
    return lambda: function(images)


def builtin_of(case: Case) -> Function:
    """What TensorFlow has for a case."""
    if case.mode != "CONSTANT":
        raise UnfitError("zeros outside of images only")
    if case.axes == 2:
        return partial(tf.image.extract_patches, **case.grid)
    if case.axes == 3 and case.rate == 1:
        return partial(
            tf.extract_volume_patches,
            ksizes=case.grid["sizes"],
            strides=case.grid["strides"],
            padding=case.padding,
        )
    raise UnfitError("pictures, and volumes without rates, only")


def ours_of(case: Case) -> Function:
    return partial(tf_patches.extract_patches, **case.grid)


def _builtin(case: Case, dtype: str) -> Call:
    images, extract = tf.constant(make_images(case, dtype)), builtin_of(case)
    return lambda: extract(images)


def _only_borders(case: Case) -> None:
    if case.mode == "CONSTANT":
        raise UnfitError("cases with a border only")


def _constant_of(case: Case) -> Function:
    _only_borders(case)
    return partial(ours_of(case), mode="CONSTANT")


def _ours_with_zeros(case: Case, dtype: str) -> Call:
    images, extract = tf.constant(make_images(case, dtype)), _constant_of(case)
    return lambda: extract(images)


def _padded_of(case: Case) -> Function:
    _only_borders(case)
    if case.mode not in ("REFLECT", "SYMMETRIC"):
        raise UnfitError("tf.pad has no EDGE and no WRAP")
    grid = {**case.grid, "padding": "VALID", "mode": "CONSTANT"}
    pads = [(0, 0), *case.pads, (0, 0)]
    return lambda images: tf_patches.extract_patches(
        tf.pad(images, pads, case.mode), **grid
    )


def _padded(case: Case, dtype: str) -> Call:
    images, extract = tf.constant(make_images(case, dtype)), _padded_of(case)
    return lambda: extract(images)


def _copy(case: Case, dtype: str) -> Call:
    patches = _patches(case, dtype)
    return lambda: tf.raw_ops.DeepCopy(x=patches)


# As kernels/share.h: a thread for every so many bytes.
_BYTES_PER_SHARE = 2 << 20


def warm_copy_of(patches: np.ndarray) -> Call:
    """Into memory that was touched before, by as many threads as ops have."""
    source = np.ascontiguousarray(patches).reshape(-1).view(np.uint8)
    target = np.empty_like(source)
    most = tf.config.threading.get_intra_op_parallelism_threads() or os.cpu_count()
    count = max(1, min(most or 1, source.size // _BYTES_PER_SHARE))
    pairs = zip(*(np.array_split(x, count) for x in (target, source)), strict=True)
    first, *rest = pairs
    threads = ThreadPoolExecutor(max(1, len(rest)))

    def call() -> None:
        others = [threads.submit(np.copyto, *pair) for pair in rest]
        np.copyto(*first)
        for other in others:
            other.result()

    return call


def _warm_copy(case: Case, dtype: str) -> Call:
    return warm_copy_of(_patches(case, dtype).numpy())


def _refuse_large_filters(case: Case, dtype: str) -> None:
    if dtype not in ("float32", "float16", "float64"):
        raise UnfitError(f"a convolution: no {dtype}")
    if case.mode != "CONSTANT":
        raise UnfitError("zeros outside of images only")
    depthwise = math.prod(case.size) * case.patch_values * 4
    needed = depthwise * case.images[-1]
    if needed > _MOST_FILTER_BYTES:
        raise UnfitError(f"its filter needs {needed / 2**30:.0f} GiB")


def _backward(extract: Function) -> Function:
    def backward(images: tf.Tensor, incoming: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(images)
            patches = extract(images)
        return tape.gradient(patches, images, output_gradients=incoming)

    return backward


def _gradient_tensors(case: Case, dtype: str) -> tuple[tf.Tensor, ...]:
    if dtype == "uint8":
        raise UnfitError("integers have no gradient")
    return tf.constant(make_images(case, dtype)), _patches(case, dtype)


def _gradient(extract_of: Callable[[Case], Function]) -> Prepare:
    def prepare(case: Case, dtype: str) -> Call:
        extract = extract_of(case)
        images, incoming = _gradient_tensors(case, dtype)
        backward = tf.function(_backward(extract))
        return lambda: backward(images, incoming)

    return prepare


def compilable(
    direction: str, extract_of: Callable[[Case], Function], case: Case, dtype: str
) -> tuple[Function, tuple[tf.Tensor, ...]]:
    """A function that XLA compiles when it is first called, and what to call it on."""
    extract = extract_of(case)
    if direction == "backward":
        backward = tf.function(_backward(extract), jit_compile=True)
        return backward, _gradient_tensors(case, dtype)
    forward = tf.function(lambda x: extract(x), jit_compile=True)
    return forward, (tf.constant(make_images(case, dtype)),)


def _compiled(
    direction: str, extract_of: Callable[[Case], Function], lowering: str = ""
) -> Prepare:
    """By XLA; `lowering` is the value of TF_PATCHES_XLA_LOWERING."""

    def prepare(case: Case, dtype: str) -> Call:
        if extract_of is builtin_of:
            _refuse_large_filters(case, dtype)
            if case.axes == 3:
                raise UnfitError("XLA has no kernel for volumes")
        function, tensors = compilable(direction, extract_of, case, dtype)
        with patch.dict(os.environ, TF_PATCHES_XLA_LOWERING=lowering):
            function(*tensors)
        return lambda: function(*tensors)

    return prepare


def _keras(case: Case, dtype: str) -> Call:
    import keras

    if case.axes == 1:
        raise UnfitError("pictures and volumes only")
    _refuse_large_filters(case, dtype)
    images = tf.constant(make_images(case, dtype))
    return lambda: keras.ops.image.extract_patches(
        images,
        size=case.size,
        strides=case.stride,
        dilation_rate=case.rate,
        padding=case.padding.lower(),
    )


def _torch_images(case: Case, dtype: str) -> object:
    import torch

    if dtype not in ("float32", "float16", "float64"):
        raise UnfitError(f"no {dtype}")
    if case.mode != "CONSTANT":
        raise UnfitError("zeros outside of images only")
    if case.padding == "SAME" and any(size % 2 == 0 for size in case.size):
        raise UnfitError("no uneven padding")
    last = case.axes + 1
    channels_first = np.ascontiguousarray(
        np.moveaxis(make_images(case, dtype), last, 1)
    )
    return torch.from_numpy(channels_first)


def _torch_grid(case: Case) -> dict[str, object]:
    spans = [(size - 1) * case.rate for size in case.size]
    same = case.padding == "SAME"
    return {
        "kernel_size": case.size,
        "stride": case.stride,
        "dilation": case.rate,
        "padding": [span // 2 if same else 0 for span in spans],
    }


def _torch_unfold(case: Case, dtype: str) -> Call:
    from torch.nn.functional import pad, unfold

    images = _torch_images(case, dtype)
    if case.axes == 2:
        grid = _torch_grid(case)
        return lambda: unfold(images, **grid)
    if case.rate > 1:
        raise UnfitError("unfold over other than two axes has no rates")
    # From the last axis to the first, as torch has it.
    pads = [pixels for pair in reversed(case.pads) for pixels in pair]

    def call() -> object:
        view = pad(images, pads)
        for axis, (size, stride) in enumerate(
            zip(case.size, case.stride, strict=True), start=2
        ):
            view = view.unfold(axis, size, stride)
        return view.contiguous()

    return call


def _numpy(case: Case, dtype: str) -> Call:
    widths = [(0, 0), *case.pads, (0, 0)]
    images = make_images(case, dtype)
    window = [(size - 1) * case.rate + 1 for size in case.size]
    space = range(1, case.axes + 1)
    steps = [slice(None, None, stride) for stride in case.stride]
    taps = [slice(None, None, case.rate)] * case.axes
    # Patches, then taps, then depth.
    order = [0, *space, *(axis + case.axes + 1 for axis in space), case.axes + 1]

    def call() -> np.ndarray:
        padded = images
        if case.padding == "SAME":
            padded = np.pad(images, widths, case.mode.lower())
        view = np.lib.stride_tricks.sliding_window_view(padded, window, axis=space)
        view = view[(slice(None), *steps, slice(None), *taps)]
        return np.ascontiguousarray(view.transpose(order))

    return call


_JAX_DIMENSIONS = {
    2: ("NHWC", "OIHW", "NHWC"),
    3: ("NDHWC", "OIDHW", "NDHWC"),
}


def _jax(case: Case, dtype: str) -> Call:
    import jax

    _refuse_large_filters(case, dtype)
    if case.axes == 1:
        raise UnfitError("pictures and volumes only")
    if dtype == "float64":
        raise UnfitError("float64 is off by default")
    images = jax.numpy.asarray(make_images(case, dtype))
    compiled = jax.jit(
        lambda x: jax.lax.conv_general_dilated_patches(
            x,
            case.size,
            case.stride,
            case.padding,
            rhs_dilation=[case.rate] * case.axes,
            dimension_numbers=_JAX_DIMENSIONS[case.axes],
        )
    )
    return lambda: compiled(images).block_until_ready()


def _reshape(case: Case, dtype: str) -> Call:
    if case.axes != 2:
        raise UnfitError("pictures only")
    batch, rows, cols, depth = case.images
    (size_rows, size_cols), divides = case.size, case.rate == 1
    if case.stride != case.size or rows % size_rows or cols % size_cols or not divides:
        raise UnfitError("only where stride equals size")
    images = tf.constant(make_images(case, dtype))
    split = [batch, rows // size_rows, size_rows, cols // size_cols, size_cols, depth]

    def call() -> tf.Tensor:
        tiles = tf.transpose(tf.reshape(images, split), [0, 1, 3, 2, 4, 5])
        return tf.reshape(tiles, [batch, split[1], split[3], case.patch_values])

    return call


FORWARD = [
    Peer(US, _ours),
    Peer(BUILTIN, _builtin),
    Peer(COPY, _copy),
    Peer(WARM_COPY, _warm_copy),
    Peer(FUNCTION, _ours_in_a_function),
    Peer(CONSTANT, _ours_with_zeros),
    Peer(PADDED, _padded),
    Peer(XLA, _compiled("forward", ours_of)),
    Peer(HLO, _compiled("forward", ours_of, "hlo")),
    Peer(BUILTIN_XLA, _compiled("forward", builtin_of)),
    Peer("keras.ops", _keras, needs="keras"),
    Peer("torch unfold", _torch_unfold, needs="torch"),
    Peer("numpy", _numpy),
    Peer("jax", _jax, needs="jax"),
    Peer("reshape-transpose", _reshape),
]


def _copy_gradient(case: Case, dtype: str) -> Call:
    _, incoming = _gradient_tensors(case, dtype)
    # In a function, as the gradients are: calling one takes 0.1 ms or two.
    copy = tf.function(lambda x: tf.raw_ops.DeepCopy(x=x))
    return lambda: copy(incoming)


def _warm_copy_gradient(case: Case, dtype: str) -> Call:
    _, incoming = _gradient_tensors(case, dtype)
    return warm_copy_of(incoming.numpy())


def _torch_fold(case: Case, dtype: str) -> Call:
    from torch.nn.functional import fold, unfold

    images, grid = _torch_images(case, dtype), _torch_grid(case)
    if case.axes != 2:
        raise UnfitError("pictures only")
    incoming = unfold(images, **grid)
    return lambda: fold(incoming, case.images[1:3], **grid)


BACKWARD = [
    Peer(US, _gradient(ours_of)),
    Peer(BUILTIN, _gradient(builtin_of)),
    Peer(COPY, _copy_gradient),
    Peer(WARM_COPY, _warm_copy_gradient),
    Peer(CONSTANT, _gradient(_constant_of)),
    Peer(PADDED, _gradient(_padded_of)),
    Peer(XLA, _compiled("backward", ours_of)),
    Peer(HLO, _compiled("backward", ours_of, "hlo")),
    Peer(BUILTIN_XLA, _compiled("backward", builtin_of)),
    Peer("torch fold", _torch_fold, needs="torch"),
]

DIRECTIONS = {"forward": FORWARD, "backward": BACKWARD}
