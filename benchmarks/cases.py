"""What is measured: images, patches and dtypes."""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Case:
    """One call of the op, on images of one to three axes of space."""

    name: str
    images: tuple[int, ...]
    size: tuple[int, ...]
    stride: tuple[int, ...]
    rate: int = 1
    padding: str = "SAME"
    mode: str = "CONSTANT"
    main: bool = False
    quick: bool = False

    @property
    def axes(self) -> int:
        return len(self.size)

    @property
    def grid(self) -> dict[str, object]:
        """As TensorFlow's ops take it, and the mode only where it is ours alone."""
        grid = {
            "sizes": [1, *self.size, 1],
            "strides": [1, *self.stride, 1],
            "rates": [1, *[self.rate] * self.axes, 1],
            "padding": self.padding,
        }
        return grid if self.mode == "CONSTANT" else {**grid, "mode": self.mode}

    @property
    def patch_values(self) -> int:
        return math.prod(self.size) * self.images[-1]

    @property
    def out_space(self) -> tuple[int, ...]:
        pairs = zip(self.images[1:-1], self.size, self.stride, strict=True)
        return tuple(self._count(*pair) for pair in pairs)

    @property
    def pads(self) -> list[tuple[int, int]]:
        """Pixels that SAME adds before and after each axis of space."""
        if self.padding == "VALID":
            return [(0, 0)] * self.axes
        axes = zip(
            self.images[1:-1], self.out_space, self.size, self.stride, strict=True
        )
        spans = [
            max(0, (count - 1) * stride + (size - 1) * self.rate + 1 - image)
            for image, count, size, stride in axes
        ]
        return [(span // 2, span - span // 2) for span in spans]

    def _count(self, image: int, size: int, stride: int) -> int:
        span = 1 if self.padding == "SAME" else (size - 1) * self.rate + 1
        return (image - span) // stride + 1

    def out_bytes(self, dtype: str) -> int:
        values = self.images[0] * math.prod(self.out_space) * self.patch_values
        return values * np.dtype(dtype).itemsize


def _case(name: str, images: str, size: str, stride: int | str, **rest: object) -> Case:
    def integers(text: int | str) -> tuple[int, ...]:
        return tuple(int(number) for number in str(text).split("x"))

    extents = integers(images)

    def along_axes(text: int | str) -> tuple[int, ...]:
        numbers = integers(text)
        return numbers * (len(extents) - 2) if len(numbers) == 1 else numbers

    return Case(name, extents, along_axes(size), along_axes(stride), **rest)


VALID = {"padding": "VALID"}
BORDERS = ["REFLECT", "SYMMETRIC", "EDGE", "WRAP"]

CASES = [
    _case(
        "ViT 16x16",
        "32x224x224x3",
        16,
        16,
        main=True,
        quick=True,
        **VALID,
    ),
    _case("ViT 4x4", "32x224x224x3", 4, 4, **VALID),
    _case("7x7 RGB", "4x256x256x3", 7, 1, main=True, quick=True),
    _case("3x3 depth 64", "16x56x56x64", 3, 1, main=True, quick=True),
    _case("3x3 depth 64 rate 2", "16x56x56x64", 3, 1, rate=2),
    _case("slide 299x299", "1x2048x2048x3", 299, 128, main=True, quick=True),
    _case("64x64 half overlap", "8x512x512x3", 64, 32, **VALID),
    _case("3x3 depth 1", "4x1024x1024x1", 3, 1, main=True, quick=True),
    _case("5x5 depth 1", "4x1024x1024x1", 5, 1, quick=True),
    _case("3x3 RGB rate 2", "8x256x256x3", 3, 1, rate=2, quick=True),
    _case("3x3 RGB rate 4", "8x256x256x3", 3, 1, rate=4),
    _case("7x7 depth 64", "16x28x28x64", 7, 1),
    _case("4x4 stride 2 depth 96", "8x64x64x96", 4, 2),
    _case("3x3 depth 192", "8x64x64x192", 3, 1),
    _case("spectrogram 16x16", "32x1024x128x1", 16, 10, **VALID),
    *(
        _case(f"3x3 depth {depth}", f"4x256x256x{depth}", 3, 1)
        for depth in (2, 3, 4, 5, 7, 8, 16, 33)
    ),
    _case("wide 1x64", "4x256x512x1", "1x64", 1),
    _case("tall 64x1", "4x512x256x1", "64x1", 1),
    _case("2x2 stride 4", "8x1024x1024x3", 2, 4, **VALID),
    _case("few rows 299x299", "1x320x2048x3", 299, 64, **VALID),
    _case("wide image 3x3", "1x512x16384x3", 3, 1),
    _case("wide image 7x7 stride 2", "1x512x16384x3", 7, 2),
    _case("wide image 16x16 stride 8", "1x512x16384x3", 16, 8),
    _case("volume 3x3x3", "1x64x128x128x1", 3, 1, quick=True),
    _case("volume 32x32x32 stride 16", "1x128x256x256x1", 32, 16, **VALID),
    _case("volume 4x4x4 stride 4", "8x32x64x64x3", 4, 4, **VALID),
    _case("signal 400 stride 160", "16x160000x1", 400, 160, **VALID),
    *(
        _case(
            f"{name} {mode}", images, size, stride, mode=mode, quick=mode == "REFLECT"
        )
        for mode in BORDERS
        for name, images, size, stride in (
            ("7x7 RGB", "4x256x256x3", 7, 1),
            ("small 7x7 depth 1", "64x28x28x1", 7, 1),
            ("tiles 64x64 stride 32", "8x500x500x3", 64, 32),
            ("volume 3x3x3", "1x64x128x128x1", 3, 1),
        )
    ),
    _case("tiny 3x3", "1x10x10x1", 3, 5, quick=True, **VALID),
]

MAIN_DTYPES = ("float16", "float64", "complex64")


def contests(quick: bool) -> list[tuple[Case, str]]:
    """The cases and the dtypes to measure them in."""
    cases = [case for case in CASES if case.quick or not quick]
    every = [(case, dtype) for case in cases for dtype in ("float32", "uint8")]
    if quick:
        return every
    main = [(case, dtype) for case in cases if case.main for dtype in MAIN_DTYPES]
    return every + main


def make_images(case: Case, dtype: str) -> np.ndarray:
    """Random images, the same on every run."""
    random = np.random.default_rng(0)
    return random.integers(0, 255, case.images).astype(dtype)


# Results that the C library maps anew at every call.
LARGE = [
    (case, dtype)
    for case in CASES
    if case.name in ("slide 299x299", "7x7 RGB")
    for dtype in ("float32", "uint8")
]
