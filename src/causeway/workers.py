"""Runs carried out one after another, or several at a time, each in a process of its own."""

import multiprocessing
import os
import queue
import signal
import threading
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

from . import running
from .disk import whole
from .errors import ConfigError, DataError, Interrupted, InUse, MissingExtra
from .run import Run


def finish(runs: Sequence[Run], jobs: int) -> Iterator[tuple[Run, str]]:
    """Each of ``runs`` once it is finished, ``jobs`` at a time, and in a line why it failed, if it did.

    Ctrl-C has the runs at hand saved first; a second one does not wait for that.
    """
    if jobs == 1:
        for one in runs:
            yield one, _work(one)
        return
    waiting, workers = deque(runs), list[Worker]()
    try:
        for _ in runs[:jobs]:
            workers.append(Worker())
        while waiting or any(worker.run for worker in workers):
            for worker in workers:
                if waiting and not worker.run:
                    worker.give(waiting.popleft())
            ready = wait([worker.line for worker in workers if worker.run])
            for worker in workers:
                if worker.line in ready:
                    yield worker.take()
    except BaseException:
        _stop([worker for worker in workers if worker.run])
        raise
    finally:
        for worker in workers:
            worker.leave()


def _stop(workers: Sequence["Worker"]) -> None:
    """Have them save what they do, and wait for that; a second Ctrl-C ends the waiting, and then they are left."""
    for worker in workers:
        with suppress(OSError):  # it has just died
            worker.line.send(None)
    for worker in workers:
        with suppress(EOFError, OSError):
            worker.line.recv()


class Worker:
    """A process that does one run after another, as this end sees it. It dies with this one."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self.run: Run | None = None  # what it is doing
        context = multiprocessing.get_context("spawn")
        self.line, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,))
        with _undisturbed():
            self.process.start()
        theirs.close()

    def give(self, one: Run) -> None:
        """Have it do ``one``."""
        self.run = one
        with suppress(OSError):  # it has died: ``take`` says so
            self.line.send(one)

    def take(self) -> tuple[Run, str]:
        """What it has done, and in a line why that failed, if it did; what ends a study is raised."""
        one, self.run = self.run, None
        assert one is not None
        try:
            said: Any = self.line.recv()
        except (EOFError, OSError):
            self.leave()
            code = self.process.exitcode
            self._begin()
            return one, _failed(one, f"its process ended with code {code}, as one that runs out of memory does.")
        if isinstance(said, BaseException):
            raise said
        return one, said

    def leave(self) -> None:
        """End it, at once if it is at work."""
        self.line.close()
        self.process.join()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ctrl-C waits until a process has been started, and that process does not hear of it: it inherits the mask."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    resource_tracker.ensure_running()  # which starting a process does otherwise, and which takes the mask away
    pressed: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)
    if pressed:
        raise KeyboardInterrupt


def _serve(line: Connection) -> None:
    """The worker's end."""
    os.setpgrp()  # else Ctrl-C in a terminal would reach it beside what we tell it, and the second means: at once
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    given: queue.SimpleQueue[Run] = queue.SimpleQueue()
    stopped = threading.Event()

    def listen() -> None:
        while True:
            try:
                said = line.recv()
            except Exception:  # nobody is left to work for, or this process does not understand them
                os._exit(1)
            if said is None:
                stopped.set()
                os.kill(os.getpid(), signal.SIGINT)
            else:
                given.put(said)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        line.send(_answer(given.get(), stopped))


def _answer(one: Run, stopped: threading.Event) -> str | BaseException:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if stopped.is_set():
            raise Interrupted("Stopped before it began.")
        return _work(one)
    except BaseException as error:
        return error
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _work(one: Run) -> str:
    """``running.work``; a failure is a fact of this run, told in its folder and in a line, and no end of the others."""
    try:
        running.work(one)
    except Exception as error:
        if isinstance(error, Interrupted | InUse):
            raise
        kind = "DataError" if isinstance(error, DataError) else type(error).__name__
        known = isinstance(error, ConfigError | DataError | MissingExtra)
        return _failed(one, f"{kind}: {error}", "" if known else traceback.format_exc())
    return ""


def _failed(one: Run, line: str, about: str = "") -> str:
    one.folder.mkdir(parents=True, exist_ok=True)
    with whole(one.folder / "error.txt") as temporary:
        temporary.write_text(f"{line}\n\n{about or line}", encoding="utf-8")
    return line
