"""What ops that add give: the bits of earlier versions, on any number of threads."""

import json
from pathlib import Path

import pytest
from cases import NUMBERS
from child import child_output
from compiled import LOWERINGS, SWITCH
from hypothesis import settings
from sums import recorded

THREADS = [1, 2, 3, 7, 16]
DIGESTS = f"""
import json
import os
import sys

import tensorflow as tf

threads, *compiled = sys.argv[1:]
tf.config.threading.set_intra_op_parallelism_threads(int(threads))

from cases import NUMBERS
from sums import digests

print(json.dumps({{dtype: digests(dtype) for dtype in NUMBERS}}))
for lowering in {LOWERINGS}:
    os.environ[{SWITCH!r}] = lowering
    print(json.dumps({{dtype: digests(dtype, compiled=True) for dtype in compiled}}))
"""


def compiled_on(threads):
    """Every dtype on some number of threads; in the larger profile, on any."""
    if settings.default is settings.get_profile("thorough"):
        return NUMBERS
    return NUMBERS[THREADS.index(threads) :: len(THREADS)]


@pytest.mark.parametrize("threads", THREADS)
def test_recorded_bits(threads):
    dtypes = compiled_on(threads)
    printed = child_output(DIGESTS, threads, *dtypes, cwd=Path(__file__).parent)
    eager, *lowered = map(json.loads, printed.splitlines())
    assert eager == {dtype: recorded(dtype) for dtype in NUMBERS}
    for compiled in lowered:
        assert compiled == {dtype: recorded(dtype, compiled=True) for dtype in dtypes}


def test_digests_tell_sums_apart():
    for dtype in NUMBERS:
        digests = recorded(dtype).values()
        assert len(set(digests)) == len(digests) >= 7
