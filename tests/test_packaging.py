"""What is built from the sources: an sdist, a wheel, or one clear message."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
import tensorflow as tf
from child import child_output, run_child

import tf_patches

pytestmark = pytest.mark.packaging

ROOT = Path(__file__).resolve().parents[1]
NOT_SOURCES = [".git", ".venv", ".*_cache", ".hypothesis", "__pycache__", "*.egg-info"]
NOT_SOURCES += ["build", "dist", "demo_output"]
VERSION = tf_patches.__version__
HEADERS = os.path.realpath(tf.sysconfig.get_include()).encode()


@pytest.fixture
def sources(tmp_path):
    """A copy of the sources, with what the installation in use left among them."""
    copy = tmp_path / "sources"
    return shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*NOT_SOURCES))


@pytest.fixture
def kept_objects(tmp_path, monkeypatch):
    """Objects of this clone serve what is built of the same sources elsewhere."""
    settings = tmp_path / "objects.cfg"
    settings.write_text(f"[build_ext]\nobjects = {ROOT / 'build' / 'objects'}\n")
    monkeypatch.setenv("DIST_EXTRA_CONFIG", str(settings))


def pip(*arguments):
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def make_sdist(sources, folder):
    child_output(
        """
        import sys
        from setuptools import build_meta
        build_meta.build_sdist(sys.argv[1])
        """,
        folder,
        cwd=sources,
    )
    (sdist,) = folder.glob("*.tar.gz")
    return sdist


def files_under(folder, *patterns):
    paths = {path for pattern in patterns for path in folder.glob(pattern)}
    return {str(path.relative_to(folder)) for path in paths if path.is_file()}


def test_sdist(sources, tmp_path):
    with tarfile.open(make_sdist(sources, tmp_path)) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = files_under(
        ROOT,
        "*.md",
        "*.toml",
        "*.py",
        "LICENSE",
        "Makefile",
        "tf_patches/**/*.py",
        "tf_patches/py.typed",
        "custom_ops/*/*",
        "tests/**/*.py",
        "tests/native/*",
        "custom_ops/exports.map",
        "benchmarks/*",
        "demo/*",
        "docs/**/*",
        "examples/*",
        ".ci/run",
    )
    assert {"custom_ops/geometry/patch_grid.h", "README.md", "LICENSE"} <= needed
    assert needed <= names
    assert not {name for name in names if name.endswith((".so", ".pyc", "_info.json"))}


@pytest.mark.usefixtures("kept_objects")
def test_wheel_of_the_sdist(sources, tmp_path):
    """Built without isolation, installed elsewhere, and used from there."""
    with tarfile.open(make_sdist(sources, tmp_path)) as archive:
        archive.extractall(tmp_path, filter="data")
    unpacked = tmp_path / f"tf_patches-{VERSION}"
    options = ["--no-deps", "--no-build-isolation", "--wheel-dir"]
    pip("wheel", *options, str(tmp_path), str(unpacked))
    (wheel,) = tmp_path.glob("*.whl")
    name, version, *tag = wheel.stem.split("-")
    assert (name, version, tag[:2]) == ("tf_patches", VERSION, ["py3", "none"])
    assert tag[2] != "any"
    check_contents(wheel)

    target = tmp_path / "target"
    pip("install", "--no-deps", "--no-index", "--target", str(target), str(wheel))
    shutil.rmtree(unpacked)
    shutil.rmtree(sources)
    printed = child_output(
        """
        import tf_patches
        import tensorflow as tf

        print(tf_patches.__file__)
        print(tf_patches.build_info()["tensorflow"])
        grid = dict(sizes=[1, 3, 3, 1], strides=[1, 5, 5, 1], rates=[1, 1, 1, 1])
        image = tf.reshape(tf.range(100.0), [1, 10, 10, 1])
        patches = tf_patches.extract_patches(image, **grid, padding="VALID")
        expected = tf.image.extract_patches(image, **grid, padding="VALID")
        assert patches.numpy().tobytes() == expected.numpy().tobytes()
        """,
        cwd=tmp_path,
        PYTHONPATH=str(target),
    )
    expected = [str(target / "tf_patches" / "__init__.py"), tf.__version__]
    assert printed.split() == expected


def check_contents(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        folder = f"tf_patches-{VERSION}.dist-info"
        metadata = Parser().parsestr(archive.read(f"{folder}/METADATA").decode())
        kind = Parser().parsestr(archive.read(f"{folder}/WHEEL").decode())
        for name in names:
            assert HEADERS not in archive.read(name), f"{name} knows where it was made"
    package = {name for name in names if name.startswith("tf_patches/")}
    sources = files_under(ROOT, "tf_patches/**/*.py", "tf_patches/py.typed")
    libraries = {f"tf_patches/{name}.so" for name in ("_ops", "_slides", "_xla")}
    built = {*libraries, "tf_patches/_build_info.json"}
    assert package == sources | built
    assert {name for name in names - package if folder not in name} == set()
    assert f"{folder}/licenses/LICENSE" in names

    distribution = tf_patches.build_info()["distribution"]
    major, minor, *_ = tf.__version__.split(".")
    required = metadata.get_all("Requires-Dist")
    assert f"{distribution}=={major}.{minor}.*" in required
    assert {r for r in required if "extra ==" not in r} == {
        "numpy",
        f"{distribution}=={major}.{minor}.*",
    }
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert kind["Root-Is-Purelib"] == "false"


BUILD = """
    import runpy
    import sys
    sys.argv = ["setup.py", "build_ext"]
    runpy.run_path("setup.py", run_name="__main__")
    """
WITHOUT_TENSORFLOW = """
    import importlib.metadata
    import sys
    sys.modules["tensorflow"] = None
    importlib.metadata.packages_distributions = lambda: {}
    """
WITH_OLD_SETUPTOOLS = """
    import setuptools
    setuptools.__version__ = "68.2.2"
    """

# What a build lacks, and the last line that it prints.
LACKS = {
    "no compiler": (
        "",
        {"CXX": "", "PATH": ""},
        ["C++17 compiler", "apt-get install g++", "CXX"],
    ),
    "a compiler that fails": (
        "",
        {"CXX": "false --no"},
        ["did not compile", "false --no -c custom_ops/"],
    ),
    "no TensorFlow": (
        WITHOUT_TENSORFLOW,
        {},
        ["TensorFlow", "cannot be imported", "pip install tensorflow"],
    ),
    "a number of jobs that is none": (
        "",
        {"MAX_JOBS": "all"},
        ["MAX_JOBS must be a number of compilers", "'all'"],
    ),
    "old setuptools": (
        WITH_OLD_SETUPTOOLS,
        {},
        ["68.2.2", 'pip install "setuptools>='],
    ),
}


@pytest.mark.parametrize("lack", LACKS)
def test_message_of_a_build_that_fails(lack, sources):
    before, environment, says = LACKS[lack]
    ended = run_child(before + BUILD, cwd=sources, **environment)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr, ended.stderr
    *_, message = ended.stderr.splitlines()
    for text in says:
        assert text in message


# Stands in for a compiler: notes how it is called, and makes empty objects.
RECORDER = """#!{python}
import os, sys, time
with open({log!r}, "a") as log:
    print(*sys.argv[1:], file=log)
if "--version" in sys.argv:
    print("recorder 1.0")
else:
    open(sys.argv[sys.argv.index("-o") + 1], "w").close()
    print("strange.cc:1: warning: odd", file=sys.stderr)
"""


@pytest.fixture
def build(sources, tmp_path):
    """Builds `sources` with RECORDER; returns what is printed and the calls."""
    log = tmp_path / "calls"
    recorder = tmp_path / "recorder"
    recorder.write_text(RECORDER.format(python=sys.executable, log=str(log)))
    recorder.chmod(0o755)

    def run(**environment):
        log.write_text("")
        ended = run_child(BUILD, cwd=sources, CXX=str(recorder), **environment)
        assert ended.returncode == 0, ended.stderr
        calls = [line.split() for line in log.read_text().splitlines()]
        return ended, [call for call in calls if call != ["--version"]]

    return run


def test_build_tells_what_it_does_and_compiles_what_changed(build, sources):
    ended, calls = build(CXXFLAGS="-DONE='1 2'", LDFLAGS="-Wl,-two", MAX_JOBS="1")
    compiled = [call for call in calls if "-c" in call]
    linked = [call for call in calls if "-shared" in call]
    assert len(compiled) > 10
    assert len(linked) == 3
    assert all("-DONE=1" in call and "2" in call for call in compiled)
    assert all(call[-1] == "-Wl,-two" for call in linked)
    assert f"Compiling {len(compiled)} of {len(compiled)} units with" in ended.stdout
    assert "1 at a time" in ended.stdout
    assert f"[{len(compiled)}/{len(compiled)}] custom_ops/" in ended.stdout
    assert ended.stderr.count("warning: odd") == len(calls)

    _, calls = build(CXXFLAGS="-DONE='1 2'")
    assert [call for call in calls if "-c" in call] == []

    with (sources / "custom_ops/kernels/tiles.h").open("a") as header:
        header.write("// changed\n")
    _, calls = build(CXXFLAGS="-DONE='1 2'")
    again = {call[call.index("-c") + 1] for call in calls if "-c" in call}
    assert again == files_that_include(sources, "kernels/tiles.h")


def files_that_include(sources, header):
    """By the preprocessor, of the sources that need no TensorFlow."""
    folders = ("geometry", "kernels", "memory")
    paths = [p for f in folders for p in (sources / "custom_ops" / f).glob("*.cc")]
    command = ["g++", "-std=c++17", "-Icustom_ops", "-MM", *map(str, paths)]
    rules = subprocess.check_output(command, cwd=sources, text=True)
    rules = rules.replace("\\\n", " ").splitlines()
    return {
        str(Path(rule.split()[1]).relative_to(sources))
        for rule in rules
        if f"custom_ops/{header}" in rule
    }
