"""Runs carried out one after another, or several at a time, each in a process of its own."""

import itertools
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import suppress
from multiprocessing.process import BaseProcess

from . import run
from .disk import whole
from .errors import ConfigError, DataError, Interrupted, InUse, MissingExtra
from .run import Run


def finish(runs: Sequence[Run], jobs: int) -> Iterator[tuple[Run, str]]:
    """Each of ``runs`` once it is finished, ``jobs`` at a time, and in a line why it failed, if it did."""
    if jobs == 1:
        for one in runs:
            yield one, _work(one)
        return
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _begin) as pool:
        working: dict[Future[str], Run] = {}
        waiting = iter(runs)
        try:
            while True:  # no more at once than there are workers: what lies in a pool's queue cannot be taken back
                free = jobs - len(working)
                working |= {pool.submit(_work_alone, one): one for one in itertools.islice(waiting, free)}
                if not working:
                    return
                for finished in wait(working, return_when=FIRST_COMPLETED).done:
                    yield working.pop(finished), finished.result()
        except BaseException:
            for worker in multiprocessing.active_children():  # each saves its run before it stops
                _interrupt(worker)
            raise


def _begin() -> None:
    """A worker is told when to stop by its study alone."""
    os.setpgrp()  # else Ctrl-C in a terminal would reach it twice, and the second means: at once
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # between runs there is nothing to stop
    die_with_parent()


def die_with_parent() -> None:
    """A killed program leaves no process behind that would go on writing in a run's folder."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _interrupt(worker: BaseProcess) -> None:
    """What Ctrl-C does."""
    assert worker.pid is not None
    with suppress(ProcessLookupError):  # it has just ended
        os.kill(worker.pid, signal.SIGINT)


def _work_alone(one: Run) -> str:
    """``_work``, in a worker."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return _work(one)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _work(one: Run) -> str:
    """``run.work``; a failure is a fact of this run, told in its folder and in a line, and no end of the others."""
    try:
        run.work(one)
    except Exception as error:
        if isinstance(error, Interrupted | InUse):
            raise
        kind = "DataError" if isinstance(error, DataError) else type(error).__name__
        line = f"{kind}: {error}"
        about = line if isinstance(error, ConfigError | DataError | MissingExtra) else traceback.format_exc()
        with whole(one.folder / "error.txt") as temporary:
            temporary.write_text(f"{line}\n\n{about}", encoding="utf-8")
        return line
    return ""
