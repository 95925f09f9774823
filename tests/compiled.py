"""Functions compiled by XLA, by either lowering."""

import numpy as np
import pytest
import tensorflow as tf
from graphs import in_graph

SWITCH = "TF_PATCHES_XLA_LOWERING"
LOWERINGS = ["native", "hlo"]
lowerings = pytest.mark.parametrize("lowering", LOWERINGS)


def compiled(lowering, function, *tensors, signature=None):
    """Calls `function`, compiled with what `signature` tells of the shapes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SWITCH, lowering)
        return in_graph(function, *tensors, signature=signature, jit_compile=True)


def without_denormals(values):
    """`values` without those that are small enough for sums to be denormal.

    TensorFlow's threads, so the native kernels too, take these for zero; what
    XLA compiles does not.
    """
    if values.dtype.kind in "iu":
        return values
    if values.dtype.kind == "c":
        part = np.ascontiguousarray(values).view(values.real.dtype)
        return without_denormals(part).view(values.dtype)
    least = 1e-200 if values.dtype == np.float64 else 1e-20
    with np.errstate(invalid="ignore"):
        small = np.abs(values.astype(np.float64)) < least
    return np.where(small, np.zeros_like(values), values)


def hlo(function, *tensors, lowering="native", **options):
    jit = tf.function(function, autograph=False, jit_compile=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SWITCH, lowering)
        return jit.experimental_get_compiler_ir(*tensors)(**options)
