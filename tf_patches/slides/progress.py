"""A bar that shows how far a slide is done."""

import contextlib
from collections.abc import Iterator
from importlib import util
from typing import Protocol


class Advance(Protocol):
    """Notes that patches are done; those of an earlier run do not count for speed."""

    def __call__(self, patches: int, is_new: bool = True) -> None: ...


@contextlib.contextmanager
def progress_bar(total: int, is_wanted: bool) -> Iterator[Advance]:
    """Shows patches a second and the time left on the standard error stream.

    Without rich there is no bar.
    """
    if not is_wanted or util.find_spec("rich") is None:
        yield lambda patches, is_new=True: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        TextColumn("{task.completed}/{task.total} patches"),
        TextColumn("{task.fields[rate]} patches/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=total, rate="?")

        def advance(patches: int, is_new: bool = True) -> None:
            if not is_new:
                bar.update(task, completed=bar.tasks[0].completed + patches)
                return
            bar.advance(task, patches)
            speed = bar.tasks[0].speed
            bar.update(task, rate="?" if speed is None else f"{speed:.0f}")

        yield advance
