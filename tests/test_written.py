"""Numbers as tables and pages write them."""

import io

import pytest
from rich.console import Console
from rich.progress import Progress

from causeway import progress, written


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0, "0.000"),
        (0.5, "0.500"),
        (-1.23456, "-1.235"),
        (0.00012345, "0.00012"),
        (1.85e-17, "0.000"),
        (0.00999, "0.01"),
        (-0.0042, "-0.0042"),
        (36.352, "36.35"),
        (12345.6, "12,346"),
    ],
)
def test_three_decimals_and_others_where_they_would_say_nothing(value: float, said: str) -> None:
    assert written.number(value) == said
    assert written.number(abs(value), "+") == "+" + said.removeprefix("-")


def test_without_a_terminal_a_long_count_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 5.0, 21.0, 21.0, 30.0])
    monkeypatch.setattr(progress, "time", type("Clock", (), {"monotonic": staticmethod(lambda: next(clock))}))
    with progress.counted("decoding x", 4000, "frames") as advance:
        for _ in range(3):
            advance(1000)
    assert capsys.readouterr().err == "decoding x: 2,000 of 4,000 frames\n"


def test_on_a_terminal_the_bar_says_it(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "QUIET_S", -1.0)
    monkeypatch.setattr(progress, "bar", lambda: Progress(console=Console(file=io.StringIO())))
    with progress.counted("decoding x", 2, "frames") as advance:
        advance(1)
    assert capsys.readouterr().err == ""
