"""Runs a script as Python does, with TensorFlow's own op accelerated."""

import os
import sys
from collections.abc import Sequence
from importlib.machinery import SourceFileLoader
from types import CodeType, ModuleType

import tf_patches

_CANNOT_OPEN = 2  # as Python exits
_FAILED = 1


def run(script: str, arguments: Sequence[str]) -> int:
    """Runs a script as `__main__`, after `tf_patches.accelerate()`.

    Args:
      script: The path of the script.
      arguments: Those of the script.

    Returns:
      The exit status of `python script arguments`, but for that of a script
      that exits itself: `SystemExit` is raised as it is. What the script raises
      is printed as Python prints it.
    """
    try:
        with open(script, "rb") as file:
            source = file.read()
    except OSError as error:
        path = os.path.abspath(script)
        reason = f"[Errno {error.errno}] {error.strerror}"
        print(f"{sys.executable}: can't open file {path!r}: {reason}", file=sys.stderr)
        return _CANNOT_OPEN
    tf_patches.accelerate()
    path = os.path.abspath(script)
    sys.argv[:] = [script, *arguments]
    if not getattr(sys.flags, "safe_path", False):  # of Python 3.11
        sys.path[0] = os.path.dirname(os.path.realpath(script))
    try:
        code = compile(source, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        sys.excepthook(type(error), error.with_traceback(None), None)
        return _FAILED
    return _run_as_main(code, path)


def _run_as_main(code: CodeType, path: str) -> int:
    main = ModuleType("__main__")
    loader = SourceFileLoader("__main__", path)
    vars(main).update(__file__=path, __loader__=loader, __cached__=None)
    sys.modules["__main__"] = main
    try:
        exec(code, vars(main))
    except Exception as error:
        traceback = error.__traceback__ and error.__traceback__.tb_next
        # Python reports from the script on, not from this function.
        sys.excepthook(type(error), error.with_traceback(traceback), traceback)
        return _FAILED
    return 0
