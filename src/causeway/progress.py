"""Progress bars with rate and time left on a terminal, and silence everywhere else."""

import sys
from collections.abc import Iterator, Sequence
from typing import TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Task as Row
from rich.text import Text

T = TypeVar("T")


class Rate(ProgressColumn):
    """Steps a second, in the unit of the row."""

    def render(self, task: Row) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.1f} {task.fields.get('unit', 'steps')}/s" if speed else "")


def bar() -> Progress:
    """A bar on standard error; it draws nothing when that is not a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(24), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    return Progress(*columns, TextColumn("{task.fields[note]}"), disable=not sys.stderr.isatty(), transient=True)


def track(items: Sequence[T], description: str, unit: str = "steps", start: int = 0) -> Iterator[T]:
    """``items``, one by one, with a bar; ``start`` of them were done before."""
    with bar() as shown:
        row = shown.add_task(description, total=start + len(items), completed=start, unit=unit, note="")
        for item in items:
            yield item
            shown.advance(row)
