"""The command line: scripts run unchanged, models converted."""

import textwrap
from functools import partial

import numpy as np
import pytest
import tensorflow as tf
from child import AS_MODULE, run_child, run_python
from graphs import noise
from test_convert import GRID, IMAGES, contents

import tf_patches
from tf_patches.__main__ import main

SCRIPTS = {
    "arguments and names": """
        import __main__, os, sys
        OLD = {"__annotations__", "__cached__"}  # in some versions of Python
        print(sys.argv, sys.path[0], __name__, __file__, __main__.__file__)
        print(__main__ is sys.modules["__main__"], __spec__ and __spec__.name)
        print(os.getcwd())
        print(vars(__main__) is globals(), sorted(set(globals()) - OLD))
        print(input())

        import pickle

        class Mine:
            pass

        print(type(pickle.loads(pickle.dumps(Mine()))).__module__)
        """,
    "builtins": "print(type(__builtins__))",
    "imports a neighbour": """
        import neighbour
        print(neighbour.__file__)
        """,
    "ends with a number": "import sys; sys.exit(3)",
    "ends with a sentence": "raise SystemExit('because')",
    "ends in silence": "raise SystemExit",
    "raises": """
        def fail():
            raise ValueError("on purpose")

        try:
            1 / 0
        except ZeroDivisionError as error:
            fail()
        """,
    "raises in a neighbour": """
        import neighbour
        neighbour.fail()
        """,
    "does not compile": "x = (1,\ny = 2",
    "interrupted": """
        import atexit, sys
        atexit.register(print, "the end")

        def wait():
            raise KeyboardInterrupt

        wait()
        """,
    "raises what is no Exception": "raise BaseException('at all')",
    "leaves something to the end": """
        import atexit
        atexit.register(print, "the end")
        raise ValueError("first")
        """,
}


def python(*arguments, cwd):
    return run_python(*arguments, cwd=cwd, given="a line\n")


def tf_patches_run(*arguments, cwd, command="run"):
    """What `python -m tf_patches run` does, without the seconds of an import."""
    arguments = ["tf_patches", command, *arguments]
    return run_child(AS_MODULE, *arguments, cwd=cwd, given="a line\n")


def without_notes(errors):
    """What a script writes, not what TensorFlow does as it is imported."""
    return [
        line
        for line in errors.splitlines()
        if not line.startswith(("WARNING: All log", "I0000", "W0000", "E0000"))
    ]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "scripts").mkdir()
    neighbour = "def fail():\n    raise RuntimeError('here')\n"
    (tmp_path / "scripts" / "neighbour.py").write_text(neighbour)
    return tmp_path


def write(folder, code):
    (folder / "scripts" / "script.py").write_text(textwrap.dedent(code))
    return "scripts/script.py"


def run_of(name):
    """The command itself runs the script that shows most of where it is run."""
    if name == "arguments and names":
        return partial(python, "-m", "tf_patches", "run")
    return tf_patches_run


@pytest.mark.parametrize("name", SCRIPTS)
def test_runs_as_python_does(name, folder):
    script = write(folder, SCRIPTS[name])
    arguments = [script, "--to", "x", "-h", "--", "run"]
    alone = python(*arguments, cwd=folder)
    run = run_of(name)(*arguments, cwd=folder)
    assert run.stdout == alone.stdout
    assert run.returncode == alone.returncode
    assert without_notes(run.stderr) == without_notes(alone.stderr)


@pytest.mark.parametrize(
    "name",
    [
        "arguments and names",
        "imports a neighbour",
        "ends with a number",
        "raises",
        "interrupted",
        "does not compile",
    ],
)
def test_runs_modules_as_python_does(name, folder):
    """Tracebacks pass through Python's runpy, by one way or the other."""
    write(folder, SCRIPTS[name].replace("import neighbour", "from . import neighbour"))
    arguments = ["-m", "scripts.script", "--to", "x", "-h", "-m", "run"]
    alone = python(*arguments, cwd=folder)
    run = run_of(name)(*arguments, cwd=folder)
    assert run.stdout == alone.stdout
    assert run.returncode == alone.returncode
    assert without_runpy(run.stderr) == without_runpy(alone.stderr)


def without_runpy(errors):
    lines = without_notes(errors)
    return [line for line in lines if "runpy" not in line]


@pytest.mark.parametrize("module", ["none", "scripts.none", "none.script", "scripts"])
def test_missing_module(module, folder):
    alone = python("-m", module, cwd=folder)
    run = tf_patches_run("-m", module, cwd=folder)
    assert run.returncode == alone.returncode == 1
    assert run.stdout == alone.stdout == ""
    assert without_notes(run.stderr)[-1] == alone.stderr.splitlines()[-1]


def test_runs_accelerated(folder):
    script = write(
        folder,
        """
        import sys
        assert "tf_patches" in sys.modules
        import tf_patches
        print(tf_patches.is_accelerated())
        """,
    )
    run = tf_patches_run(script, cwd=folder)
    assert run.stdout == "True\n", run.stderr


def test_script_elsewhere(folder):
    (folder / "script.py").write_text("print(__file__)")
    inside = dict(cwd=folder / "scripts")
    alone = python("../script.py", **inside)
    run = tf_patches_run("../script.py", **inside)
    assert run.stdout == alone.stdout


def test_missing_script(folder):
    alone = python("../none.py", cwd=folder)
    run = tf_patches_run("../none.py", cwd=folder)
    assert (run.returncode, without_notes(run.stderr)) == (
        alone.returncode,
        without_notes(alone.stderr),
    )


@pytest.mark.parametrize(
    "arguments, status, message",
    [
        ([], 2, "required: COMMAND"),
        (["-h"], 0, ""),
        (["run"], 2, "SCRIPT -m is required"),
        (["run", "-m"], 2, "argument -m: expected one argument"),
        (["run", "-h"], 0, ""),
        (["convert", "-h"], 0, ""),
        (["convert", "a"], 2, "required: OUT"),
        (["convert", "a", "b", "--to", "builtin"], 2, "unrecognized arguments: --to"),
        (["other"], 2, "invalid choice: 'other'"),
    ],
    ids=repr,
)
def test_usage(arguments, status, message, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == status
    out, err = capsys.readouterr()
    assert message in err
    assert ("usage: python -m tf_patches" in out) == (status == 0)


@pytest.mark.parametrize(
    "arguments, status",
    [
        (["--help"], 0),
        (["heatmap", "--help"], 0),
        (["run", "--help", "script.py"], 0),
        ([], 2),
        (["convert", "model"], 2),
        (["predict", "slide", "model", "out", "--tile-size", "0"], 2),
    ],
    ids=repr,
)
@pytest.mark.parametrize("module", [["-m", "tf_patches"], ["-mtf_patches"]], ids=repr)
def test_usage_takes_no_tensorflow(module, arguments, status, tmp_path):
    ended = python("-X", "importtime", *module, *arguments, cwd=tmp_path)
    assert ended.returncode == status
    assert "tf_patches.command_line" in ended.stderr
    assert "tensorflow" not in ended.stderr


def test_arguments_of_other_modules_are_theirs(tmp_path):
    package = tmp_path / "tf_patches_users"
    package.mkdir()
    (package / "__init__.py").write_text("import tf_patches")
    (package / "__main__.py").write_text("import sys; print(sys.argv[1:])")
    run = python("-m", "tf_patches_users", "tf_patches", "--help", cwd=tmp_path)
    assert run.stdout == "['tf_patches', '--help']\n", run.stderr


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    module = tf.Module()
    module.extract = tf.function(
        lambda images: tf_patches.extract_patches(images, **GRID),
        input_signature=[tf.TensorSpec([None, None, None, 3], name="images")],
        autograph=False,
    )
    path = tmp_path_factory.mktemp("saved") / "ours"
    tf.saved_model.save(module, str(path))
    return path


@pytest.mark.parametrize("options", [[], ["--plain"]], ids=str)
def test_convert(options, ours, tmp_path):
    command = [*options, ours, "out"]
    ended = tf_patches_run(*command, cwd=tmp_path, command="convert")
    assert ended.stdout == (
        "Converted 1 TFPatches>ExtractPatches.\n"
        "The same bits from serving_default, extract.\n"
    ), ended.stderr
    assert ended.returncode == 0
    model = tf.saved_model.load(tmp_path / "out")
    np.testing.assert_array_equal(
        model.extract(IMAGES), tf.image.extract_patches(IMAGES, **GRID)
    )


def test_convert_what_is_random(tmp_path, capsys):
    module = tf.Module()
    module.extract = tf.function(
        lambda: tf_patches.extract_patches(noise(IMAGES.shape), **GRID),
        input_signature=[],
        autograph=False,
    )
    ours, out = str(tmp_path / "ours"), str(tmp_path / "out")
    tf.saved_model.save(module, ours, signatures={})
    with pytest.warns(UserWarning, match="differ from run to run"):
        assert main(["convert", ours, out]) == 0
    assert capsys.readouterr().out.endswith("Nothing could be compared.\n")


def test_convert_on_given_inputs(ours, tmp_path, capsys):
    np.savez(tmp_path / "inputs.npz", **{"extract/images": IMAGES})
    out = tmp_path / "out"
    arguments = [
        "convert",
        ours,
        out,
        "--inputs",
        tmp_path / "inputs.npz",
    ]
    assert main(list(map(str, arguments))) == 0
    assert capsys.readouterr().out.endswith("The same bits from extract.\n")


WRONG = {
    "no model": (["none", "out"], "No such file or folder: none"),
    "out is there": (["{ours}", "{here}"], "already exists; choose another path"),
    "nothing to convert": (["{theirs}", "out"], "Nothing to convert"),
    "damaged": (["{damaged}", "a/b/out"], "holds a damaged SavedModel"),
    "no inputs": (["{ours}", "out", "--inputs", "none.npz"], "none.npz"),
    "bad inputs": (["{ours}", "out", "--inputs", __file__], "is not a .npz file"),
    "empty inputs": (["{ours}", "out", "--inputs", "{empty}"], "is not a .npz file"),
    "broken inputs": (["{ours}", "out", "--inputs", "{broken}"], "is not a .npz file"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_user_errors_are_a_sentence(
    wrong, ours, tmp_path, tmp_path_factory, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").write_text("")
    arguments, message = WRONG[wrong]
    (outside := tmp_path_factory.mktemp("inputs")).joinpath("empty").write_bytes(b"")
    (outside / "broken").write_bytes(b"PK\x03\x04 and no more")
    (outside / "damaged").mkdir()
    (outside / "damaged" / "saved_model.pb").write_bytes(b"no model")
    tf.saved_model.save(tf.Module(), str(outside / "theirs"), signatures={})
    names = "empty", "broken", "damaged", "theirs"
    places = {name: outside / name for name in names}
    arguments = [part.format(ours=ours, here=tmp_path, **places) for part in arguments]
    assert main(["convert", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
    assert set(contents(tmp_path)) == {(tmp_path / "mine").relative_to(tmp_path)}
