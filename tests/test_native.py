"""The compiled library: what it was built with, and what is said where it is unfit."""

import json
import subprocess
from pathlib import Path

import pytest
import tensorflow as tf
from child import child_output
from package_copies import copy_package, with_build_info, with_text, without

import tf_patches

COMMAND = (
    'pip install "setuptools>=77" && '
    "pip install --force-reinstall --no-deps --no-build-isolation ."
)


def test_build_info():
    info = tf_patches.build_info()
    assert set(info) == {"tensorflow", "distribution", "compiler", "flags", "xla"}
    assert info["tensorflow"] == tf.__version__
    assert info["distribution"].startswith("tensorflow")
    assert any(character.isdigit() for character in info["compiler"])
    assert {"-O3", "--std=c++17"} <= set(info["flags"])


def test_build_info_is_the_callers_own():
    tf_patches.build_info().clear()
    assert tf_patches.build_info()


def cut(package):
    library = (package / "_ops.so").read_bytes()
    (package / "_ops.so").write_bytes(library[:512])


# What is wrong with an installation, and what the ImportError says beside the
# command that mends it.
UNFIT = {
    "older": (
        with_build_info(tensorflow="2.7.4"),
        ["TensorFlow 2.7.4", tf.__version__],
    ),
    "newer": (
        with_build_info(tensorflow="3.0.0-rc1"),
        ["TensorFlow 3.0.0-rc1", tf.__version__],
    ),
    "not compiled": (without("_build_info.json"), ["not been compiled"]),
    "no values": (with_text("_build_info.json", "{}"), ["missing or damaged"]),
    "a list": (with_text("_build_info.json", "[]"), ["missing or damaged"]),
    "a number": (with_build_info(tensorflow=2), ["missing or damaged"]),
    "half a file": (with_text("_build_info.json", '{"tens'), ["missing or damaged"]),
    "no text": (with_text("_build_info.json", "\xff", "latin-1"), ["damaged"]),
    "no library": (without("_ops.so"), ["_ops.so"]),
    "the start of a library": (cut, ["_ops.so", tf.__version__]),
    "text": (with_text("_ops.so"), ["_ops.so", tf.__version__]),
}


@pytest.fixture(scope="module")
def messages(tmp_path_factory):
    """What importing each unfit copy of the package says, in one child process."""
    folder = tmp_path_factory.mktemp("copies")
    for name, (change, _) in UNFIT.items():
        copy_package(folder / name, change)
    printed = child_output(
        """
        import json
        import sys
        import tensorflow

        messages = []
        for folder in sys.argv[1:]:
            sys.path.insert(0, folder)
            try:
                import tf_patches
            except ImportError as error:
                messages.append(str(error))
            sys.path.remove(folder)
            for name in [name for name in sys.modules if name.startswith("tf_patches")]:
                del sys.modules[name]
        print(json.dumps(messages))
        """,
        *(folder / name for name in UNFIT),
        cwd=folder,
    )
    return dict(zip(UNFIT, json.loads(printed), strict=True))


@pytest.mark.parametrize("name", UNFIT)
def test_unfit(name, messages):
    _, says = UNFIT[name]
    for text in (*says, COMMAND):
        assert text in messages[name]


def test_another_patch_of_the_same_minor_version(tmp_path):
    """The C++ interface holds within a minor version."""
    major, minor, *_ = tf.__version__.split(".")
    another = f"{major}.{minor}.99"
    printed = child_output(
        """
        import tf_patches
        print(tf_patches.__file__)
        print(tf_patches.build_info()["tensorflow"])
        """,
        **copy_package(tmp_path, with_build_info(tensorflow=another)),
    )
    copy = tmp_path / "tf_patches" / "__init__.py"
    assert printed.split() == [str(copy), another]


def test_sources_that_hide_an_installation(tmp_path):
    """As where one stands in a clone, after `pip install .`."""
    copy_package(tmp_path / "clone", without("_build_info.json"))
    installed = copy_package(tmp_path / "site-packages")["cwd"]
    printed = child_output(
        """
        import sys
        import tensorflow
        sys.path[1:1] = sys.argv[1:]
        try:
            import tf_patches
        except ImportError as error:
            print(error)
        """,
        installed,
        cwd=tmp_path / "clone",
        PYTHONPATH="",
    )
    assert f"Python runs in {tmp_path / 'clone'}" in printed
    assert f"hide the installed package in {installed / 'tf_patches'}" in printed
    assert "another folder" in printed
    assert "pip install" not in printed


@pytest.mark.parametrize("library", ["_ops", "_xla"])
def test_libraries_show_nothing(library):
    """Two copies of the package in a process would share what they show."""
    path = Path(tf_patches.__file__).parent / f"{library}.so"
    shown = subprocess.check_output(
        ["nm", "--dynamic", "--defined-only", path], text=True
    ).splitlines()
    assert [line for line in shown if " TfPatches" not in line] == []


def test_two_copies_in_a_process(tmp_path):
    """The second would have TensorFlow end the process."""
    copies = [copy_package(tmp_path / name)["cwd"] for name in ("one", "two")]
    printed = child_output(
        """
        import sys
        for folder in sys.argv[1:]:
            sys.path.insert(0, folder)
            try:
                import tf_patches
                print("imported", tf_patches.__file__)
            except ImportError as error:
                print("refused", error)
            for name in [name for name in sys.modules if name.startswith("tf_patches")]:
                del sys.modules[name]
            sys.path.remove(folder)
        """,
        *copies,
        copies[0],
        cwd=tmp_path,
    ).splitlines()
    one, two = (copy / "tf_patches" for copy in copies)
    assert printed[0] == f"imported {one / '__init__.py'}"
    assert printed[1].startswith(f"refused Another copy of tf_patches, {one / '_ops'}")
    assert f"Restart Python to use {two / '_ops.so'}" in printed[1]
    assert printed[2] == printed[0]
