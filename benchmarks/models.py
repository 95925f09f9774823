"""Two blocks of models written against the built-in alone, plain or accelerated.

`python -m benchmarks.models BLOCK ACCELERATED` prints milliseconds as JSON, those of
the block and those of the extractions and folds in it. ACCELERATED is 0 or 1.
"""

import json
import sys
from collections.abc import Callable

import tensorflow as tf

import tf_patches
from benchmarks.measure import time_calls

_BATCH, _SIDE, _DEPTH, _HEADS = 8, 56, 192, 6
_HEAD = _DEPTH // _HEADS
_ROUNDS = 3


def _extract(images: tf.Tensor, size: int, stride: int) -> tf.Tensor:
    return tf.image.extract_patches(
        images,
        sizes=[1, size, size, 1],
        strides=[1, stride, stride, 1],
        rates=[1, 1, 1, 1],
        padding="SAME",
    )


def _fold(patches: tf.Tensor, images: tf.Tensor, size: int, stride: int) -> tf.Tensor:
    """TensorFlow has no fold but in the gradient of its extraction."""
    zeros = tf.zeros_like(images)
    with tf.GradientTape() as tape:
        tape.watch(zeros)
        extracted = _extract(zeros, size, stride)
    return tape.gradient(extracted, zeros, output_gradients=patches)


class _Halo(tf.Module):
    """Local self-attention of HaloNet: blocks of 8x8 look 3 pixels further."""

    block, halo = 8, 3

    def __init__(self) -> None:
        self.weights = [_weights(_DEPTH, 3 * _DEPTH), _weights(_DEPTH, _DEPTH)]

    def patches(self, images: tf.Tensor) -> tf.Tensor:
        """What the attention looks at."""
        return _extract(images, self.block + 2 * self.halo, self.block)

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        block, blocks = self.block, _SIDE // self.block
        mixed = images @ self.weights[0]
        queries, rest = mixed[..., :_DEPTH], mixed[..., _DEPTH:]
        queries = tf.nn.space_to_depth(queries, block)
        queries = tf.reshape(queries, [-1, block**2, _HEADS, _HEAD])
        window = (block + 2 * self.halo) ** 2
        seen = tf.reshape(self.patches(rest), [-1, window, 2, _HEADS, _HEAD])
        scores = tf.einsum("nqhd,nkhd->nhqk", queries, seen[:, :, 0]) * _HEAD**-0.5
        mean = tf.einsum("nhqk,nkhd->nqhd", tf.nn.softmax(scores), seen[:, :, 1])
        mean = tf.reshape(mean, [-1, blocks, blocks, block**2 * _DEPTH])
        return tf.nn.depth_to_space(mean, block) @ self.weights[1]

    def moves(self, images: tf.Tensor) -> tf.Tensor:
        """The block's extractions and folds alone."""
        return self.patches(tf.concat([images, images], -1))


class _Outlook(tf.Module):
    """Outlook attention of VOLO: windows of 3x3, stride 2, mixed and put back."""

    size, stride = 3, 2

    def __init__(self) -> None:
        self.weights = [
            _weights(_DEPTH, _DEPTH),
            _weights(_DEPTH, self.size**4 * _HEADS),
            _weights(_DEPTH, _DEPTH),
        ]

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        taps, side = self.size**2, _SIDE // self.stride
        values = images @ self.weights[0]
        windows = _extract(values, self.size, self.stride)
        windows = tf.reshape(windows, [-1, taps, _HEADS, _HEAD])
        centres = tf.nn.avg_pool2d(images, self.stride, self.stride, "SAME")
        scores = tf.reshape(centres @ self.weights[1], [-1, _HEADS, taps, taps])
        attention = tf.nn.softmax(scores * _HEAD**-0.5)
        mixed = tf.einsum("nhqk,nkhd->nqhd", attention, windows)
        mixed = tf.reshape(mixed, [-1, side, side, taps * _DEPTH])
        return _fold(mixed, values, self.size, self.stride) @ self.weights[2]

    def moves(self, images: tf.Tensor) -> tf.Tensor:
        """The block's extractions and folds alone."""
        windows = _extract(images, self.size, self.stride)
        return _fold(windows, images, self.size, self.stride)


BLOCKS: dict[str, Callable] = {"halo attention": _Halo, "outlook attention": _Outlook}


def _weights(inputs: int, outputs: int) -> tf.Variable:
    values = tf.random.stateless_normal([inputs, outputs], [inputs, outputs])
    return tf.Variable(values * inputs**-0.5)


def _gradients(function: Callable, images: tf.Tensor, weights: list) -> list:
    with tf.GradientTape() as tape:
        tape.watch(images)
        result = function(images)
        loss = tf.reduce_mean(result * result)
    return tape.gradient(loss, [images, *weights])


def main(block_name: str, accelerated: str) -> None:
    """Accelerates, or not, before anything is traced."""
    if accelerated == "1":
        tf_patches.accelerate()
    block = BLOCKS[block_name]()
    images = tf.random.stateless_normal([_BATCH, _SIDE, _SIDE, _DEPTH], [1, 2])
    forward = tf.function(block)
    step = tf.function(lambda x: _gradients(block, x, block.weights))
    moves = tf.function(block.moves)
    moves_step = tf.function(lambda x: _gradients(block.moves, x, []))
    calls = {
        "forward": lambda: forward(images),
        "step": lambda: step(images),
        "forward, patches": lambda: moves(images),
        "step, patches": lambda: moves_step(images),
    }
    timings = time_calls(calls, _ROUNDS)
    print(json.dumps({name: timing.median * 1e3 for name, timing in timings.items()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
