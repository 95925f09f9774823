"""What all tests share: a quiet TensorFlow, hypothesis profiles, markers."""

import ctypes
import os
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # read when TensorFlow is imported

import pytest
from hypothesis import HealthCheck, settings

# The same cases on every run, so that what passed stays passed. The other
# profile hunts: `pytest --hypothesis-profile=thorough`.
COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("standard", max_examples=50, derandomize=True, **COMMON)
settings.register_profile("thorough", max_examples=2000, print_blob=True, **COMMON)
settings.load_profile("standard")

M_PERTURB = -6  # from glibc's malloc.h


def pytest_configure():
    # Fills memory with rubbish as it is allocated: a byte of a result that an op
    # forgot to write would otherwise often be zero, or right by chance.
    ctypes.CDLL(None).mallopt(M_PERTURB, 0xA5)


def pytest_runtest_setup(item):
    for marker in item.iter_markers("large"):
        (needed,) = marker.args
        available = _available_gigabytes()
        if available < needed:
            pytest.skip(f"needs {needed} GB of memory, {available:.1f} are available")


@pytest.fixture(params=["mixed_float16", "mixed_bfloat16"])
def policy(request):
    """Keras' policy of dtypes, for as long as a test runs."""
    import keras  # which most tests can do without

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


def _available_gigabytes():
    lines = Path("/proc/meminfo").read_text().splitlines()
    kilobytes = next(line.split()[1] for line in lines if "MemAvailable" in line)
    return int(kilobytes) / 1e6
