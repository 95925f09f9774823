"""Python code in a process of its own: fresh, and free to crash."""

import os
import subprocess
import sys
import textwrap

# Long enough for any machine; a child that hangs is not to hang the suite.
_SECONDS = 300


def run_child(code, *arguments, cwd=None, **environment):
    """Runs `code`, dedented, with `arguments` in `sys.argv`; returns how it ended."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
    )


def child_output(code, *arguments, cwd=None, **environment):
    """What `code` prints; it must end well."""
    ended = run_child(code, *arguments, cwd=cwd, **environment)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
