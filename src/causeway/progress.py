"""What is told while work goes on: bars with rate and time left, on a terminal alone, and advice, once."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Task as Row
from rich.text import Text

T = TypeVar("T")

QUIET_S = 20.0  # between lines where there is no terminal
SAID: set[str] = set()  # advice given in this process


def say_once(advice: str) -> None:
    """Print a sentence on standard error, once, not for every step, arm and seed."""
    if advice not in SAID:
        print(advice, file=sys.stderr)
        SAID.add(advice)


class Rate(ProgressColumn):
    """Steps a second, in the unit of the row."""

    def render(self, task: Row) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.1f} {task.fields.get('unit', 'steps')}/s" if speed else "")


def bar() -> Progress:
    """A bar on standard error; it draws nothing when that is not a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(24), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, disable=not sys.stderr.isatty(), transient=True)


@contextmanager
def counted(description: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """A bar, and the function that moves it on by so many; where there is no terminal, a line now and then."""
    done, last = 0, time.monotonic()

    def advance(count: int) -> None:
        nonlocal done, last
        shown.advance(row, count)
        done += count
        if shown.disable and time.monotonic() - last > QUIET_S:
            last = time.monotonic()
            print(f"{description}: {done:,} of {total:,} {unit}", file=sys.stderr, flush=True)

    with bar() as shown:
        row = shown.add_task(description, total=total, unit=unit)
        yield advance


def track(items: Sequence[T], description: str, unit: str) -> Iterator[T]:
    """``items``, one by one, with a bar."""
    with counted(description, len(items), unit) as advance:
        for item in items:
            yield item
            advance(1)
