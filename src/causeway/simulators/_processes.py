"""Worlds in processes of their own: one that crashes or dies takes no other with it."""

import multiprocessing
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from ..errors import ConfigError

LONGEST_S = 120.0  # that an answer may take; whatever takes longer hangs, and is ended


class Crash(Exception):
    """What went wrong in a world's process, in a line."""


class Remote:
    """An object that lives in a process of its own, which ends with this one. A crash leaves it to be made anew."""

    def __init__(self, make: Callable[[], Any]):
        self.make = make
        self.process: Any = None

    def ask(self, method: str, *arguments: object) -> None:
        """Have it call a method of the object, which is made first if there is none. ``answer`` gives the result."""
        if self.process is None:
            self._begin()
        with suppress(OSError):  # it has just died: ``answer`` says so
            self.line.send((method, arguments))

    def answer(self) -> Any:
        """What the method returned. Raises Crash with what went wrong in it, or if the process has died."""
        try:
            if not self.line.poll(LONGEST_S):
                self.process.kill()
            well, said = self.line.recv()
        except (EOFError, OSError):
            self.process.join()
            code, self.process = self.process.exitcode, None
            raise Crash(f"its process ended with code {code}") from None
        if not well:
            raise Crash(said) if isinstance(said, str) else said
        return said

    def close(self) -> None:
        """End the process, if there is one."""
        if self.process is not None:
            self.line.close()
            self.process.join()
            self.process = None

    def _begin(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.line, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, self.make), daemon=True)
        self.process.start()
        theirs.close()


def _serve(line: Connection, make: Callable[[], Any]) -> None:
    """The other end: the object is made when it is first asked, and anew after an error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends when the line does
    thing: Any = None
    while True:
        try:
            method, arguments = line.recv()
        except (EOFError, OSError):
            return
        try:
            thing = make() if thing is None else thing
            line.send((True, getattr(thing, method)(*arguments)))
        except (ConfigError, ImportError) as error:  # no fault of this world: no other would do better
            line.send((False, (ConfigError if isinstance(error, ConfigError) else ImportError)(str(error))))
        except Exception as error:
            thing = None
            line.send((False, f"{type(error).__name__}: {error}"))
