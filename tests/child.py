"""Python in a process of its own: fresh, and free to crash."""

import os
import subprocess
import sys
import textwrap

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


def run_python(*arguments, cwd=None, **environment):
    """Runs Python with the arguments of a command line; returns how it ended."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
    )


def python_output(*arguments, **options):
    """What Python prints; it must end well."""
    ended = run_python(*arguments, **options)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def run_child(code, *arguments, **options):
    """Runs `code`, dedented, with `arguments` in `sys.argv`; returns how it ended."""
    return run_python("-c", textwrap.dedent(code), *arguments, **options)


def child_output(code, *arguments, **options):
    """What `code` prints; it must end well."""
    return python_output("-c", textwrap.dedent(code), *arguments, **options)
