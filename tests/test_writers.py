"""Results are whole, or not there: after Ctrl-C, kill -9, on full disks."""

import json
import re
from pathlib import Path

import pytest
from child import child_output
from writers import WRITERS, Watched, contents, save_model

STOPS = 4  # places where each writer is interrupted

OUTCOMES = """
import json
import sys
from pathlib import Path

import writers

folder, limit, *values = sys.argv[1:]
writers.heat_map()
getattr(writers, limit)(*map(int, values))
outcomes = list(writers.outcomes(folder))
writers.with_disk_of(-1)  # what is printed goes to a file
print(json.dumps(outcomes))
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("writers")
    save_model(folder / "model")
    return folder


@pytest.fixture
def folder(model, request):
    """An empty one, beside the model that is converted; TensorFlow expands brackets."""
    folder = model / re.sub(r"\W", "_", request.node.name)
    folder.mkdir()
    return folder


def outcomes(folder, *limit):
    printed = child_output(OUTCOMES, folder, *limit, cwd=Path(__file__).parent)
    rows = json.loads(printed)
    assert [name for name, _, _ in rows] == list(WRITERS)
    return {name: (ended, there) for name, ended, there in rows}


@pytest.mark.parametrize("name", WRITERS)
def test_a_name_is_given_to_what_is_whole(name, folder):
    """A kill, at whatever moment, leaves what there is at that moment."""
    path = folder / name
    with Watched(path) as watched:
        WRITERS[name](path)
    nothing, whole = watched.seen
    assert nothing is None
    assert whole == contents(path)
    assert watched.calls > 20


@pytest.mark.parametrize("name", WRITERS)
def test_interrupted(name, folder):
    """Anywhere; and what is there then is in nobody's way."""
    write, interrupts = WRITERS[name], 0
    (folder / "model").symlink_to(folder.parent / "model")
    paths = [folder / str(number) / name for number in range(2 + STOPS)]
    for path in paths:
        path.parent.mkdir()
    write(paths[0])  # what is done once alone is done
    with Watched(paths[1]) as watched:
        write(paths[1])
    whole = contents(paths[1])
    for number, path in enumerate(paths[2:]):
        stop = watched.calls * (2 * number + 1) // (2 * STOPS)
        try:
            with Watched(path, stop):
                write(path)
        except KeyboardInterrupt:
            interrupts += 1
        assert contents(path) in (None, whole)
        if contents(path) is None:
            write(path)
        assert contents(path) == whole
    assert interrupts  # that of a callback is lost


@pytest.mark.parametrize("size", [0, 100, 1000])
def test_a_full_disk(size, folder):
    """The smaller results are written where they fit."""
    for name, (ended, there) in outcomes(folder, "with_disk_of", size).items():
        assert there == (ended == "written"), name
        assert ended in ("written", "EFBIG", "ConversionError"), name
        assert there == (name == "scores.npy" and size == 1000), name


def test_a_folder_that_may_only_be_read(folder):
    folder.chmod(0o555)
    ended = outcomes(folder, "without_privileges")
    folder.chmod(0o755)
    assert set(ended.values()) == {("EACCES", False)}
    assert not list(folder.iterdir())
