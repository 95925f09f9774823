"""The examples in README.md and in docstrings run, and give what they print."""

import doctest
import importlib
import inspect
import pkgutil
import re
import textwrap
from pathlib import Path

import pytest
import tensorflow as tf
from child import child_output, python_output

import tf_patches
from tf_patches import slides

README = Path(__file__).parent.parent / "README.md"
PYTHON_BLOCK = re.compile(r"^( *)```python *\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


def _modules():
    names = [module.name for module in pkgutil.iter_modules(tf_patches.__path__)]
    public = [name for name in names if not name.startswith("_")]
    parts = pkgutil.iter_modules(slides.__path__)
    public += [f"slides.{module.name}" for module in parts]
    return [tf_patches, *(importlib.import_module(f"tf_patches.{n}") for n in public)]


def _documented():
    """All functions and classes of the package, and its modules, by name."""
    for module in _modules():
        yield module.__name__, module
        for name, member in inspect.getmembers(module):
            if getattr(member, "__module__", None) == module.__name__:
                yield f"{module.__name__}.{name}", member


EXAMPLES = {
    name: member
    for name, member in _documented()
    if ">>>" in (inspect.getdoc(member) or "")
}


# What changes the process that it runs in.
IRREVERSIBLE = {"tf_patches.builtin.accelerate"}


@pytest.mark.parametrize("name", sorted(EXAMPLES.keys() - IRREVERSIBLE))
def test_docstring(name):
    run_examples(name)


@pytest.mark.parametrize("name", IRREVERSIBLE)
def test_docstring_in_a_child(name):
    code = "import sys, test_docs; test_docs.run_examples(sys.argv[1])"
    child_output(code, name, cwd=Path(__file__).parent)


def run_examples(name):
    test = doctest.DocTestParser().get_doctest(
        inspect.getdoc(EXAMPLES[name]),
        globs={"tf": tf, "tf_patches": tf_patches},
        name=name,
        filename=None,
        lineno=0,
    )
    report = []
    result = doctest.DocTestRunner().run(test, out=report.append)
    assert result.attempted > 0
    assert result.failed == 0, "".join(report)


@pytest.mark.parametrize("name", tf_patches.__all__)
def test_public_names_have_an_example(name):
    assert ">>>" in inspect.getdoc(getattr(tf_patches, name))


def _readme_script():
    """The blocks of README.md as one program, on the lines where they stand."""
    text = README.read_text(encoding="utf-8")
    script = ""
    for block in PYTHON_BLOCK.finditer(text):
        lines_above = text.count("\n", 0, block.start(2))
        script += "\n" * (lines_above - script.count("\n"))
        script += textwrap.dedent(block[2])
    return script


def test_readme(tmp_path):
    script = _readme_script()
    assert "import tf_patches" in script
    (tmp_path / "README.py").write_text(script, encoding="utf-8")
    python_output("README.py", cwd=tmp_path)
