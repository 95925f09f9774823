"""Who is measured: each peer is a function from a case to a call to time."""

import importlib.util
import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
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


def _builtin(case: Case, dtype: str) -> Call:
    images, grid = tf.constant(make_images(case, dtype)), case.grid
    return lambda: tf.image.extract_patches(images, **grid)


def _copy(case: Case, dtype: str) -> Call:
    patches = _patches(case, dtype)
    return lambda: tf.raw_ops.DeepCopy(x=patches)


# As kernels/share.h: a thread for every so many bytes.
_BYTES_PER_SHARE = 2 << 20


def _warm_copy_of(patches: np.ndarray) -> Call:
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
    return _warm_copy_of(_patches(case, dtype).numpy())


def _refuse_large_filters(case: Case, dtype: str) -> None:
    if dtype not in ("float32", "float16", "float64"):
        raise UnfitError(f"a convolution: no {dtype}")
    depthwise = math.prod(case.size) * case.patch_values * 4
    needed = depthwise * case.images[3]
    if needed > _MOST_FILTER_BYTES:
        raise UnfitError(f"its filter needs {needed / 2**30:.0f} GiB")


def _backward(extract: Function, case: Case) -> Function:
    def backward(images: tf.Tensor, incoming: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(images)
            patches = extract(images, **case.grid)
        return tape.gradient(patches, images, output_gradients=incoming)

    return backward


def _gradient_tensors(case: Case, dtype: str) -> tuple[tf.Tensor, ...]:
    if dtype == "uint8":
        raise UnfitError("integers have no gradient")
    return tf.constant(make_images(case, dtype)), _patches(case, dtype)


def _gradient(extract: Function) -> Prepare:
    def prepare(case: Case, dtype: str) -> Call:
        images, incoming = _gradient_tensors(case, dtype)
        backward = tf.function(_backward(extract, case))
        return lambda: backward(images, incoming)

    return prepare


def compilable(
    direction: str, extract: Function, case: Case, dtype: str
) -> tuple[Function, tuple[tf.Tensor, ...]]:
    """A function that XLA compiles when it is first called, and what to call it on."""
    if direction == "backward":
        backward = tf.function(_backward(extract, case), jit_compile=True)
        return backward, _gradient_tensors(case, dtype)
    forward = tf.function(lambda x: extract(x, **case.grid), jit_compile=True)
    return forward, (tf.constant(make_images(case, dtype)),)


def _compiled(direction: str, extract: Function, lowering: str = "") -> Prepare:
    """By XLA; `lowering` is the value of TF_PATCHES_XLA_LOWERING."""

    def prepare(case: Case, dtype: str) -> Call:
        if extract is tf.image.extract_patches:
            _refuse_large_filters(case, dtype)
        function, tensors = compilable(direction, extract, case, dtype)
        with patch.dict(os.environ, TF_PATCHES_XLA_LOWERING=lowering):
            function(*tensors)
        return lambda: function(*tensors)

    return prepare


def _keras(case: Case, dtype: str) -> Call:
    import keras

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
    if case.padding == "SAME" and any(size % 2 == 0 for size in case.size):
        raise UnfitError("no uneven padding")
    channels_first = np.ascontiguousarray(
        make_images(case, dtype).transpose(0, 3, 1, 2)
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
    from torch.nn.functional import unfold

    images, grid = _torch_images(case, dtype), _torch_grid(case)
    return lambda: unfold(images, **grid)


def _numpy(case: Case, dtype: str) -> Call:
    if case.padding == "SAME":
        span = [(size - 1) * case.rate for size in case.size]
        widths = [(0, 0), *((s // 2, s - s // 2) for s in span), (0, 0)]
    else:
        widths = [(0, 0)] * 4
    images = make_images(case, dtype)
    window = [(size - 1) * case.rate + 1 for size in case.size]
    rows, cols = case.stride

    def call() -> np.ndarray:
        padded = np.pad(images, widths) if case.padding == "SAME" else images
        view = np.lib.stride_tricks.sliding_window_view(padded, window, axis=(1, 2))
        taps = view[:, ::rows, ::cols, :, :: case.rate, :: case.rate]
        return np.ascontiguousarray(taps.transpose(0, 1, 2, 4, 5, 3))

    return call


def _jax(case: Case, dtype: str) -> Call:
    import jax

    _refuse_large_filters(case, dtype)
    if dtype == "float64":
        raise UnfitError("float64 is off by default")
    images = jax.numpy.asarray(make_images(case, dtype))
    compiled = jax.jit(
        lambda x: jax.lax.conv_general_dilated_patches(
            x,
            case.size,
            case.stride,
            case.padding,
            rhs_dilation=(case.rate, case.rate),
            dimension_numbers=("NHWC", "OIHW", "NHWC"),
        )
    )
    return lambda: compiled(images).block_until_ready()


def _reshape(case: Case, dtype: str) -> Call:
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
    Peer(XLA, _compiled("forward", tf_patches.extract_patches)),
    Peer(HLO, _compiled("forward", tf_patches.extract_patches, "hlo")),
    Peer(BUILTIN_XLA, _compiled("forward", tf.image.extract_patches)),
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
    return _warm_copy_of(incoming.numpy())


def _torch_fold(case: Case, dtype: str) -> Call:
    from torch.nn.functional import fold, unfold

    images, grid = _torch_images(case, dtype), _torch_grid(case)
    incoming = unfold(images, **grid)
    return lambda: fold(incoming, case.images[1:3], **grid)


BACKWARD = [
    Peer(US, _gradient(tf_patches.extract_patches)),
    Peer(BUILTIN, _gradient(tf.image.extract_patches)),
    Peer(COPY, _copy_gradient),
    Peer(WARM_COPY, _warm_copy_gradient),
    Peer(XLA, _compiled("backward", tf_patches.extract_patches)),
    Peer(HLO, _compiled("backward", tf_patches.extract_patches, "hlo")),
    Peer(BUILTIN_XLA, _compiled("backward", tf.image.extract_patches)),
    Peer("torch fold", _torch_fold, needs="torch"),
]

DIRECTIONS = {"forward": FORWARD, "backward": BACKWARD}
