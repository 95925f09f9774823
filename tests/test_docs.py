"""The examples in README.md, docs/ and docstrings run, and give what they print."""

import doctest
import importlib
import inspect
import os
import pkgutil
import re
import shlex
import sys
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from child import child_output
from skimage import data
from slides_made import pyramid, write_slide

import tf_patches
from tf_patches import command_line, layers, slides

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
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


@pytest.mark.parametrize("module", [tf_patches, slides, layers])
def test_public_names_are_in_the_api_pages(module):
    pages = "".join(page.read_text() for page in (ROOT / "docs" / "api").glob("*.md"))
    documented = set(re.findall(r"^::: (\S+)$", pages, re.MULTILINE))
    names = getattr(
        module, "__all__", ["ExtractPatches", "FoldPatches", "RandomPatches"]
    )
    assert {f"{module.__name__}.{name}" for name in names} <= documented


def _python_of(path):
    """The blocks of a page as one program, on the lines where they stand."""
    text = path.read_text(encoding="utf-8")
    script = ""
    for block in PYTHON_BLOCK.finditer(text):
        lines_above = text.count("\n", 0, block.start(2))
        script += "\n" * (lines_above - script.count("\n"))
        script += textwrap.dedent(block[2])
    return script


def run_page(path):
    """Runs the blocks of a page; `print(x)  # text` must print the text."""
    script = _python_of(path)
    lines = script.splitlines()

    def checked_print(*values):
        line = lines[sys._getframe(1).f_lineno - 1]
        printed = " ".join(map(str, values))
        assert line.endswith(f"  # {printed}"), f"{line} prints {printed}"

    variables = {"__name__": "__main__", "print": checked_print}
    exec(compile(script, str(path), "exec"), variables)


def run_pages(folder):
    """Runs README.md and all of docs/ in one process; the last accelerate it."""
    os.chdir(folder)
    make_what_pages_read()
    pages = [page for page in PAGES if _python_of(page)]
    pages.sort(key=lambda page: "accelerate()" in _python_of(page))
    for page in pages:
        run_page(page)
    assert tf_patches.is_accelerated()


def make_what_pages_read():
    """A slide, enlarged, and a model of its patches."""
    picture = np.repeat(np.repeat(data.immunohistochemistry(), 2, 0), 2, 1)
    write_slide("slide.svs", pyramid(picture, 4))
    average = keras.layers.GlobalAveragePooling2D()
    model = keras.Sequential(
        [keras.Input([299, 299, 3]), average, keras.layers.Dense(1)]
    )
    model.save("model.keras")


def test_pages(tmp_path):
    code = "import sys, test_docs; test_docs.run_pages(sys.argv[1])"
    child_output(code, tmp_path, cwd=Path(__file__).parent)


SHELL_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _commands():
    for page in PAGES:
        for block in SHELL_BLOCK.findall(page.read_text(encoding="utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith("python -m tf_patches "):
                    yield shlex.split(line)[3:]


def test_commands():
    """What pages write in a shell is what the command line understands."""
    commands = list(_commands())
    names = {given[0] for given in commands}
    assert names >= {"run", "convert", "heatmap", "predict", "slide-worker"}
    for given in commands:
        assert command_line.parse(given).command == given[0]


LINK = re.compile(r"\]\(([^)#\s]*)#?([^)\s]*)\)")


def _anchors(path):
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {
        re.sub(r"[^\w -]", "", h).strip().lower().replace(" ", "-") for h in headings
    }


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links(name):
    """Links lead to files and headings; `make docs` checks those of docs/."""
    page = ROOT / name
    for target, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        path = ROOT / target if target else page
        assert path.exists(), target
        assert not anchor or anchor in _anchors(path), f"{target}#{anchor}"


def test_pictures_are_drawn_anew(tmp_path):
    """The script draws all pictures that it has drawn, and each of them is small."""
    pictures = ROOT / "docs" / "pictures"
    code = """
        import sys
        sys.path[:0] = sys.argv[1:3]
        import draw
        draw.main(sys.argv[3:])
        """
    child_output(code, pictures, ROOT, tmp_path)
    drawn = {path.name for path in tmp_path.iterdir()}
    assert drawn == {path.name for path in pictures.glob("*.svg")}
    for path in pictures.iterdir():
        assert path.stat().st_size < 300_000, path
