"""What a worker does with a run it is given. How studies stop, and what they leave behind, is in test_run.py."""

import signal
import threading
from typing import Any

import pytest

from causeway import (
    running,
    workers,
)
from causeway.errors import Interrupted


def test_a_run_that_is_given_after_the_stop_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Any] = []
    monkeypatch.setattr(running, "work", begun.append)
    before, stopped = signal.getsignal(signal.SIGINT), threading.Event()
    try:
        assert workers._answer("first", stopped) == ""  # type: ignore[arg-type]
        stopped.set()
        assert isinstance(workers._answer("second", stopped), Interrupted)  # type: ignore[arg-type]
        assert begun == ["first"] and signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
