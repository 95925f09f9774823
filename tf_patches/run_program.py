"""Runs a program as Python does, with TensorFlow's own op accelerated.

Both functions return Python's exit status. If a program exits by itself, `SystemExit`
is raised as it is. Uncaught exceptions of a program are printed as Python prints them.
"""

import builtins
import importlib.util
import os
import runpy
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import SourceFileLoader
from types import CodeType, ModuleType, TracebackType

import tf_patches

_CANNOT_OPEN = 2  # as Python exits
_FAILED = 1


def run_script(script: str, arguments: Sequence[str]) -> int:
    """Does what `python script arguments` does, after `tf_patches.accelerate()`."""
    path = os.path.join(os.getcwd(), script)
    try:
        with open(script, "rb") as file:
            source = file.read()
    except OSError as error:
        reason = f"[Errno {error.errno}] {error.strerror}"
        print(f"{sys.executable}: can't open file {path!r}: {reason}", file=sys.stderr)
        return _CANNOT_OPEN
    tf_patches.accelerate()
    sys.argv[:] = [script, *arguments]
    if not getattr(sys.flags, "safe_path", False):  # of Python 3.11
        sys.path[0] = os.path.dirname(os.path.realpath(script))
    try:
        code = compile(source, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        sys.excepthook(type(error), error.with_traceback(None), None)
        return _FAILED
    return _report_errors(lambda: _run_as_main(code, path))


def run_module(module: str, arguments: Sequence[str]) -> int:
    """Does what `python -m module arguments` does, after `tf_patches.accelerate()`."""
    tf_patches.accelerate()
    sys.argv[1:] = arguments
    if obstacle := _find_obstacle(module):
        print(f"{sys.executable}: {obstacle}", file=sys.stderr)
        return _FAILED
    return _report_errors(
        lambda: runpy.run_module(module, run_name="__main__", alter_sys=True)
    )


def _find_obstacle(module: str) -> str | None:
    """What keeps a module from being run, in Python's words."""
    main = f"{module}.__main__"
    try:
        spec = importlib.util.find_spec(module)
        if spec is None:
            return f"No module named {module}"
        if spec.submodule_search_locations is None or importlib.util.find_spec(main):
            return None
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
        return f"Error while finding module specification for {module!r} ({reason})"
    return (
        f"No module named {main}; {module!r} is a package and cannot be directly "
        "executed"
    )


def _run_as_main(code: CodeType, path: str) -> None:
    main = ModuleType("__main__")
    loader = SourceFileLoader("__main__", path)
    vars(main).update(
        __builtins__=builtins, __file__=path, __loader__=loader, __cached__=None
    )
    sys.modules["__main__"] = main
    exec(code, vars(main))


def _report_errors(program: Callable[[], object]) -> int:
    try:
        program()
    except SystemExit:
        raise
    except BaseException as error:
        traceback = _from_the_program_on(error.__traceback__)
        sys.excepthook(type(error), error.with_traceback(traceback), traceback)
        if isinstance(error, KeyboardInterrupt):
            # Python ends by the signal if it sees the interrupt. It was reported above.
            sys.excepthook = lambda *_: None
            raise
        return _FAILED
    return 0


def _from_the_program_on(traceback: TracebackType | None) -> TracebackType | None:
    """A traceback without the frames of this file."""
    while traceback and traceback.tb_frame.f_code.co_filename == __file__:
        traceback = traceback.tb_next
    return traceback
