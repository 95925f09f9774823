"""Copies of the package that lack or hold what they should not."""

import json
import shutil
from pathlib import Path

import tf_patches

PACKAGE = Path(tf_patches.__file__).parent


def copy_package(folder, *changes):
    """Copies the package into `folder`, changed; returns how a child imports that."""
    copy = shutil.copytree(PACKAGE, folder / "tf_patches")
    for change in changes:
        change(copy)
    return {"cwd": folder}


def without(name):
    return lambda package: (package / name).unlink()


def with_text(name, text="no library", encoding="utf-8"):
    """Text in a file's place."""
    return lambda package: (package / name).write_text(text, encoding)


def with_build_info(**values):
    def change(package):
        path = package / "_build_info.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change
