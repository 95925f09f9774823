"""The cases that the sweeps draw: where patches lie, and what bits pixels hold."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from hypothesis import settings
from hypothesis import strategies as st

FLOATS = ["bfloat16", "float16", "float32", "float64"]
COMPLEX = ["complex64", "complex128"]
INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
NUMBERS = [*FLOATS, *COMPLEX, *INTEGERS]
DTYPES = [*NUMBERS, "bool"]
BUILTIN_DTYPES = NUMBERS  # TensorFlow has no kernel for bool

MANTISSA_BITS = {"bfloat16": 7, "float16": 10, "float32": 23, "float64": 52}
PART = {"complex64": "float32", "complex128": "float64"}


MODES = ["CONSTANT", "REFLECT", "SYMMETRIC", "EDGE", "WRAP"]


class Case(NamedTuple):
    shape: tuple  # of the images
    grid: dict  # sizes, strides, rates, padding and border, as the ops take them


def case(shape, sizes, strides, rates, padding, **border):
    """A case of `sizes`, `strides` and `rates` given for each axis of space.

    `padding` is a name, or the pixels (before, after) on each of those axes.
    """
    lists = {"sizes": sizes, "strides": strides, "rates": rates}
    grid = {name: [1, *values, 1] for name, values in lists.items()}
    if not isinstance(padding, str):
        padding = [[0, 0], *map(list, padding), [0, 0]]
    return Case(tuple(shape), {**grid, "padding": padding, **border})


class Placed(NamedTuple):
    """Patches at positions: of which shape images are, and where patches lie."""

    shape: tuple
    positions: np.ndarray
    sizes: tuple
    rates: tuple
    flips: np.ndarray | None
    mode: str

    @property
    def batch(self):
        return self.shape[0]

    @property
    def patches_shape(self):
        return (self.batch, self.positions.shape[-2], *self.sizes, self.shape[-1])

    @property
    def place(self):
        """What both ops are told of it by keywords."""
        return {"rates": list(self.rates), "flips": self.flips, "mode": self.mode}


# Large enough for several threads to share, in all dtypes of two bytes or more, and
# each another way through the kernels: short and long runs of memory, whole image
# rows, holes, borders, no overlap.
SHARED_OUT = [
    case((14, 150, 131, 1), (3, 3), (1, 1), (1, 1), "SAME"),
    case((3, 50, 61, 1), (17, 15), (1, 1), (2, 3), "SAME"),
    case((1, 330, 250, 3), (5, 4), (1, 2), (1, 1), "VALID"),
    case((30, 160, 160, 3), (16, 16), (16, 16), (1, 1), "VALID"),
    case((13, 70, 61, 5), (7, 7), (3, 2), (2, 3), "SAME"),
    case((48, 100, 40, 3), (4, 40), (1, 1), (1, 1), "VALID"),
    case((1, 82, 112, 32), (3, 3), (1, 1), (2, 2), "SAME"),
    case((2, 20, 20, 3), (33, 29), (1, 1), (1, 1), "SAME"),
    case((1700, 9, 9, 6), (3, 3), (2, 2), (1, 1), "SAME"),
    case((1, 1, 250000, 1), (1, 9), (1, 1), (1, 1), "SAME"),
    case((1, 210000, 1, 1), (11, 1), (1, 1), (1, 1), "SAME"),
]

# Likewise, of signals, of volumes, and with borders.
SHARED_OUT_ANY = [
    case((8, 32000, 1), (400,), (40,), (1,), "VALID"),
    case((3, 9000, 32), (5,), (2,), (3,), "SAME", mode="REFLECT"),
    case((2, 24, 40, 50, 1), (3, 3, 3), (1, 1, 1), (1, 1, 1), "SAME"),
    case((2, 40, 50, 44, 2), (8, 8, 8), (4, 4, 4), (1, 1, 1), "SAME", mode="EDGE"),
    case((32, 32, 32, 32, 2), (4, 4, 4), (4, 4, 4), (1, 1, 1), "VALID"),
    case((2, 20, 30, 31, 5), (2, 3, 2), (1, 1, 1), (3, 1, 2), "SAME", mode="WRAP"),
    case((12, 12, 30, 40, 3), (3, 2, 40), (1, 1, 1), (1, 1, 1), "VALID"),
    case((60, 30, 20, 10, 3), (2, 20, 10), (1, 1, 1), (1, 1, 1), "VALID"),
    case((2, 9, 7, 5, 2), (17, 15, 11), (1, 1, 1), (1, 1, 1), "SAME", mode="SYMMETRIC"),
    case((1, 250, 300, 1), (6, 6), (1, 1), (1, 1), [(0, 9), (7, 300)], mode="WRAP"),
    case((7, 150, 131, 2), (3, 3), (1, 1), (1, 1), "SAME", mode="REFLECT"),
    case((1, 60, 61, 3), (31, 29), (2, 1), (1, 1), "SAME", mode="SYMMETRIC"),
    case((10, 5, 4, 3), (9, 9), (2, 1), (3, 2), [(90, 20), (9, 31)], mode="REFLECT"),
    case((3, 50, 61, 1), (17, 15), (1, 1), (2, 3), "SAME", constant_values=3),
]

# Over 32 MiB, which no cache holds.
STREAMED = [
    ("uint8", *case((1, 1200, 1201, 1), (5, 5), (1, 1), (1, 1), "SAME")),
    ("uint16", *case((2, 700, 701, 1), (7, 3), (1, 1), (2, 3), "SAME")),
    ("float32", *case((1, 300, 301, 3), (7, 7), (1, 1), (1, 1), "SAME")),
    ("float32", *case((3, 120, 121, 64), (3, 3), (1, 1), (1, 1), "VALID")),
    ("float32", *case((1, 600, 610, 3), (299, 211), (64, 64), (1, 1), "SAME")),
    ("complex128", *case((1, 40, 1101, 2), (7, 70), (5, 29), (1, 2), "SAME")),
    ("complex128", *case((1, 24, 1200, 1), (20, 1100), (1, 16), (1, 1), "VALID")),
]


seeds = st.integers(0, 2**32 - 1)


def examples(count):
    """How often to run a test: `count` times, or more in a larger profile."""
    return settings(max_examples=count * settings.default.max_examples // 100)


@st.composite
def _axes(draw, padding, lacking, extra, fits):
    """An image's extent along an axis, and the size, stride and rate of patches.

    Where pixels are `lacking` no patch lies on the image. With padding VALID it
    is then smaller than a patch: by up to a stride if the case `fits`.
    """
    size = draw(st.integers(1, 5))
    stride = draw(st.integers(1, 6))
    rate = draw(st.sampled_from([1, 1, 1, 2, 3]))
    span = (size - 1) * rate + 1
    if lacking and padding == "SAME":
        return 0, size, stride, rate
    if lacking:
        most = min(span, stride) if fits else span
        return span - draw(st.integers(1, most)), size, stride, rate
    least = span if padding == "VALID" else 1
    return draw(st.integers(least, least + extra)), size, stride, rate


@st.composite
def cases(draw, fits=False, small=False):
    """Any case, or with `fits` only what asks for no negative number of patches."""
    padding = draw(st.sampled_from(["SAME", "VALID"]))
    lacking = draw(st.sampled_from([*[""] * 16, "batch", "rows", "cols", "depth"]))
    wide = not small and draw(st.booleans())
    rows, *row_axis = draw(_axes(padding, lacking == "rows", 8, fits))
    cols, *col_axis = draw(_axes(padding, lacking == "cols", 70 if wide else 8, fits))
    batch = 0 if lacking == "batch" else draw(st.integers(1, 2 if wide else 3))
    depths = [1, 2, 3] if wide else [1, 2, 3, 4, 5, 9, 17]
    depth = 0 if lacking == "depth" else draw(st.sampled_from(depths))
    attributes = zip(row_axis, col_axis, strict=True)
    return case((batch, rows, cols, depth), *attributes, padding)


@st.composite
def bordered_cases(draw, axes=(1, 2, 3), modes=MODES, explicit=True, fits=True):
    """Cases of so many axes of space, with any border and perhaps explicit padding."""
    count = draw(st.sampled_from(axes))
    padding = draw(st.sampled_from(["SAME", "VALID", "EXPLICIT"][: 2 + explicit]))
    lacking = draw(st.sampled_from([*[""] * 16, "batch", "space", "depth"]))
    # Long along the last axis, where kernels have most ways; small otherwise.
    extras = [2, 8 if count == 2 else 2, draw(st.sampled_from([8, 40]))][-count:]
    drawn = [
        draw(_bordered_axis(padding, lacking == "space" and i == 0, extra, fits))
        for i, extra in enumerate(extras)
    ]
    space, *attributes, pairs = zip(*drawn, strict=True)
    batch = 0 if lacking == "batch" else draw(st.integers(1, 2))
    depth = 0 if lacking == "depth" else draw(st.sampled_from([1, 2, 3, 5]))
    mode = draw(st.sampled_from(modes))
    padding = pairs if padding == "EXPLICIT" else padding
    return case((batch, *space, depth), *attributes, padding, mode=mode)


@st.composite
def _bordered_axis(draw, padding, lacking, extra, fits):
    """As `_axes`, and the pixels of an explicit padding before and after.

    Those may be many more than the image has, which is a pixel at least.
    """
    if padding != "EXPLICIT":
        return *draw(_axes(padding, lacking, extra, fits)), (0, 0)
    padded, *attributes = draw(_axes("VALID", lacking, extra, fits))
    image = draw(st.integers(1, max(1, padded)))
    before = draw(st.integers(0, max(0, padded - image)))
    return image, *attributes, (before, max(0, padded - image - before))


@st.composite
def placed_cases(draw, modes=MODES):
    """Patches inside, across the border and outside, for all images or for each."""
    axes = draw(st.sampled_from([1, 2, 2, 3]))
    lacking = draw(st.sampled_from([*[""] * 12, "batch", "count", "space", "depth"]))
    mode = draw(st.sampled_from(modes))
    space = [draw(st.integers(1, 12 if axes == 1 else 5)) for _ in range(axes)]
    if lacking == "space" and mode == "CONSTANT":
        space[draw(st.integers(0, axes - 1))] = 0
    batch = 0 if lacking == "batch" else draw(st.integers(1, 3))
    depth = 0 if lacking == "depth" else draw(st.sampled_from([1, 2, 3, 5, 8]))
    count = 0 if lacking == "count" else draw(st.integers(1, 5))
    random = np.random.default_rng(draw(seeds))
    form = (*draw(st.sampled_from([(), (batch,)])), count, axes)
    positions = random.integers(-4, 7, form)
    dtype = draw(st.sampled_from([np.int32, np.int64]))
    forms = [None, (axes,), (count, axes), (batch, count, axes)]
    flips = draw(st.sampled_from(forms))
    return Placed(
        shape=(batch, *space, depth),
        positions=positions.astype(dtype),
        sizes=tuple(draw(st.integers(1, 4)) for _ in range(axes)),
        rates=tuple(draw(st.sampled_from([1, 1, 2, 3])) for _ in range(axes)),
        flips=None if flips is None else random.random(flips) < 0.5,
        mode=mode,
    )


@st.composite
def signatures(draw, shape):
    """What a graph may know of `shape`: all, some of it, or not even the rank."""
    if draw(st.integers(0, 4)) == 0:
        return None
    known = draw(st.tuples(*[st.booleans()] * len(shape)))
    return [dim if k else None for dim, k in zip(shape, known, strict=True)]


# Sizes, strides or rates: right or zero, unsupported, or too few. Not negative,
# with which TensorFlow's shape function infers dimensions below zero; at most 2,
# so that patches fit in an image of three pixels and are not refused for that.
_values = st.integers(0, 2)
attributes = st.one_of(
    st.tuples(st.just(1), _values, _values, st.just(1)).map(list),
    st.tuples(_values, st.just(2), st.just(1), _values).map(list),
    st.lists(_values, max_size=3).filter(lambda values: len(values) != 2),  # ours alone
)
any_attributes = st.one_of(
    attributes,
    st.lists(_values, min_size=4, max_size=4),
    st.tuples(st.just(1), _values, _values, st.just(1), _values).map(list),
)


def any_cases(small=False):
    """Of all that fits: images in more ways, and all that lies beyond them in some."""
    return st.one_of(cases(fits=True, small=small), bordered_cases())


def random_bits(shape, dtype, seed):
    """Any bits; of a floating or complex dtype also its special values."""
    random = np.random.default_rng(seed)
    if dtype == "bool":
        return random.integers(0, 2, shape).astype(bool)
    part = PART.get(dtype, dtype)
    *rest, depth = shape
    parts = (*rest, depth * (2 if dtype in PART else 1))
    values = _any_bits(random, parts, part)
    if part in MANTISSA_BITS:
        special = random.choice(special_values(part), parts)
        values = np.where(random.random(parts) < 0.4, special, values)
    return values.view(_numpy(dtype))


def denormals(shape, dtype, seed):
    """Numbers so small that TensorFlow's threads may take them for zero."""
    part = PART.get(dtype, dtype)
    values = random_bits(shape, dtype, seed).view(_unsigned(part))
    exponent = _infinity(part)
    return (values & ~values.dtype.type(exponent)).view(_numpy(dtype))


def special_values(dtype):
    smallest_normal = 1 << MANTISSA_BITS[dtype]
    infinity = _infinity(dtype)
    sign = infinity + smallest_normal
    one = (infinity >> 1) & infinity
    positive = [
        0,
        1,  # the smallest denormal
        smallest_normal - 1,  # the largest denormal
        smallest_normal,
        one,
        infinity - 1,  # the largest number
        infinity,
        infinity | 1,  # a signalling NaN
        infinity | smallest_normal >> 1 | 5,  # a quiet NaN with a payload
    ]
    patterns = [*positive, *(sign | pattern for pattern in positive)]
    return np.array(patterns, _unsigned(dtype)).view(_numpy(dtype))


def _infinity(dtype):
    """Its bits: all those of the exponent."""
    bits = 8 * tf.as_dtype(dtype).size
    return (1 << (bits - 1)) - (1 << MANTISSA_BITS[dtype])


def _unsigned(dtype):
    return f"u{tf.as_dtype(dtype).size}"


def _numpy(dtype):
    return tf.as_dtype(dtype).as_numpy_dtype


def _any_bits(random, shape, dtype):
    *rest, depth = shape
    raw = random.integers(0, 256, (*rest, depth * tf.as_dtype(dtype).size), np.uint8)
    return raw.view(_numpy(dtype))
