"""Type checkers refuse a user's wrong calls, and nothing else."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROGRAM = Path(__file__).parent / "typed_program.py"
MARK = re.compile(r"# (wrong|only pyright): (.+)")

SOURCE = PROGRAM.read_text()
STATEMENTS = ast.parse(SOURCE).body


def marks(*kinds):
    """The words that errors must hold, by the first line of a wrong call."""
    words = {}
    for number, line in enumerate(SOURCE.splitlines(), 1):
        if (mark := MARK.fullmatch(line)) and mark[1] in kinds:
            words[number + 1] = mark[2]
    return words


def output(*command):
    ended = subprocess.run(
        [sys.executable, "-m", *command, PROGRAM],
        cwd=ROOT,
        env={**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 1, ended.stdout + ended.stderr  # there are errors
    return ended.stdout


def mypy_errors():
    # Without our settings, as a user has it.
    printed = output(
        "mypy", "--config-file=", "--ignore-missing-imports", "--no-error-summary"
    )
    for line in printed.splitlines():
        path, number, kind, message = line.split(":", 3)
        assert Path(ROOT, path) == PROGRAM, line
        if kind.strip() == "error":
            yield int(number), message


def pyright_errors():
    printed = output("pyright", "--outputjson", "--pythonpath", sys.executable)
    for found in json.loads(printed)["generalDiagnostics"]:
        if found["severity"] == "error":
            yield found["range"]["start"]["line"] + 1, found["message"]


@pytest.mark.parametrize(
    "errors, kinds",
    [(mypy_errors, ["wrong"]), (pyright_errors, ["wrong", "only pyright"])],
    ids=["mypy", "pyright"],
)
def test_checkers_refuse_wrong_calls_alone(errors, kinds):
    expected = marks(*kinds)
    firsts = {
        line: statement.lineno
        for statement in STATEMENTS
        for line in range(statement.lineno, statement.end_lineno + 1)
    }
    messages = {}
    for line, message in errors():
        messages.setdefault(firsts[line], []).append(message)
    assert messages.keys() == expected.keys(), messages
    for line, word in expected.items():
        assert any(word in message for message in messages[line]), messages[line]


def test_python_refuses_wrong_calls_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wrong = marks("wrong", "only pyright")
    names = {}
    for statement in STATEMENTS:
        code = compile(ast.Module([statement], []), PROGRAM.name, "exec")
        if statement.lineno not in wrong:
            exec(code, names)
            continue
        with pytest.raises(Exception):  # noqa: B017 (of any class)
            exec(code, names)
