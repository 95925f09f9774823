"""Many calls leave nothing behind."""

from pathlib import Path

from child import run_python


def test_leaks():
    """As `make test-leaks`, which makes more of them."""
    ended = run_python(Path(__file__).with_name("leaks.py"), 2000, 30)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert len(ended.stdout.splitlines()) == 14
