"""Python in a process of its own: fresh, and free to crash."""

import functools
import json
import os
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

# Long enough for any machine; a child that hangs is not to hang the suite.
_SECONDS = 300

# In front of code that is to run where the package cannot be imported.
WITHOUT_THE_PACKAGE = """
import sys

class NoPackage:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] == "tf_patches":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NoPackage)
"""

# In front of code that is to run as `python -m` does: then come a module and its
# arguments, in `sys.argv`.
AS_MODULE = """
import os
import runpy
import sys

del sys.argv[0]
sys.path[0] = os.getcwd()
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def run_python(*arguments, cwd=None, given="", **environment):
    """Runs Python with the arguments of a command line; returns how it ended."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        input=given,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
    )


def python_output(*arguments, **options):
    """What Python prints; it must end well."""
    return _output(run_python(*arguments, **options))


def run_child(code, *arguments, cwd=None, given="", **environment):
    """Runs `code`, dedented, with `arguments` in `sys.argv`; returns how it ended.

    In a fork of a Python that has imported TensorFlow and nothing else. Variables of
    the environment other than this package's may be read by Python or TensorFlow as
    they start: with them the child is an interpreter of its own.
    """
    code = textwrap.dedent(code)
    if not all(name.startswith("TF_PATCHES_") for name in environment):
        options = dict(cwd=cwd, given=given, **environment)
        return run_python("-c", code, *arguments, **options)
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("in", "out", "err")]
        for file, text in zip(files, [given, "", ""], strict=True):
            file.write_text(text)
        where = str(cwd or os.getcwd()), {**os.environ, **environment}
        request = code, folder, [*map(str, arguments)], *where, _SECONDS
        server = _forks()
        print(json.dumps(request), file=server.stdin, flush=True)
        status = int(server.stdout.readline())
        printed = [file.read_text() for file in files[1:]]
        return subprocess.CompletedProcess(arguments, status, *printed)


def child_output(code, *arguments, **options):
    """What `code` prints; it must end well."""
    return _output(run_child(code, *arguments, **options))


def _output(ended):
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@functools.cache
def _forks():
    """The Python that forks; it ends with its standard input, which this one holds."""
    return subprocess.Popen(
        [sys.executable, Path(__file__).with_name("forks.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
