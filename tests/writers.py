"""Everything that writes results, into a folder; and what stops it half way."""

import ctypes
import errno
import functools
import resource
import signal
import struct
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

import tf_patches
from tf_patches import slides
from tf_patches.conversion import ConversionError

OURS = Path(tf_patches.__file__).parent
PIXELS = np.arange(60 * 70 * 3, dtype=np.uint32).reshape(60, 70, 3) * 2654435761 >> 24
SLIDE = PIXELS.astype(np.uint8)


def means(patches):
    return tf.reduce_mean(tf.cast(patches, tf.float32), [1, 2, 3])


def score(**options):
    return slides.score(SLIDE, means, 20, 10, progress=False, **options)


def predict(path):
    slides.predict(
        SLIDE, lambda tiles: tiles / 2, 32, output=path, progress=False, batch_size=2
    )


@functools.cache
def heat_map():
    return score()


def save_model(folder):
    """A model to convert, which is not what is tested."""
    module = tf.Module()
    module.scale = tf.Variable(tf.range(5000.0))
    module.patches = tf.function(
        lambda images: tf_patches.extract_patches(images, 3) * module.scale[1],
        input_signature=[tf.TensorSpec([None, 9, 9, 1])],
        autograph=False,
    )
    tf.saved_model.save(module, str(folder), signatures=module.patches)


def convert(path):
    """Without the check, which reads."""
    tf_patches.to_builtin(path.parent.parent / "model", path)


# The name of what is written, and what writes it.
WRITERS = {
    "scores.npy": lambda path: score(output=path),
    "tiles.npy": predict,
    "tiles.tif": predict,
    "map.png": lambda path: slides.overlay(heat_map(), path),
    "map.geojson": lambda path: slides.to_geojson(heat_map(), path),
    "converted": convert,
}


def contents(path):
    """All bytes below a path, or None where nothing is."""
    if not path.exists():
        return None
    if path.is_file():
        return path.read_bytes()
    return {p.name: p.read_bytes() for p in path.rglob("*") if p.is_file()}


def without_privileges():
    """Has the administrator, too, keep to what permissions say."""
    version_3, this_process = 0x20080522, 0
    header = struct.pack("Ii", version_3, this_process)
    assert ctypes.CDLL(None).capset(header, bytes(24)) == 0


def with_disk_of(size):
    """Files that may not grow fail as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


class Watched:
    """Looks at `path` after each call of a C function, as a kill there would leave it.

    Raises at one of the calls by our own code, as Ctrl-C does, if `stop` says at which.
    In TensorFlow's code it would leave the process in a graph that nobody closes.
    """

    def __init__(self, path, stop=None):
        self.path, self.stop, self.calls, self.seen = path, stop, 0, []

    def __enter__(self):
        sys.setprofile(self._look)
        return self

    def __exit__(self, *_):
        sys.setprofile(None)

    def _look(self, frame, event, function):
        if event != "c_return":
            return
        self.calls += OURS in Path(frame.f_code.co_filename).parents
        if self.calls == self.stop:
            self.stop = None
            raise KeyboardInterrupt
        found = contents(self.path)
        if not self.seen or self.seen[-1] != found:
            self.seen.append(found)


def outcomes(folder):
    """What becomes of each writer: a word, and whether a result is there."""
    for name, write in WRITERS.items():
        path = Path(folder, name)
        try:
            write(path)
        except OSError as error:
            ended = errno.errorcode[error.errno]
        except ConversionError:
            ended = "ConversionError"
        else:
            ended = "written"
        yield name, ended, path.exists()
