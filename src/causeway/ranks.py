"""Training in several ranks: processes that each add a batch of their own to a step."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from .errors import ConfigError, Interrupted
from .train import stopping


def train(folder: Path) -> None:
    """Train the run in ``folder`` in processes of their own: the launcher begins its program once more for every
    further rank, and that program must then do this run's training and nothing else."""
    command = [sys.executable, "-m", "causeway", "rank", str(folder)]
    with stopping() as stop, subprocess.Popen(command, stdin=subprocess.PIPE, process_group=0) as first:
        while first.poll() is None and not stop.is_set():
            time.sleep(0.1)
        if stop.is_set():  # told by us alone, wherever Ctrl-C came from, the first has all of them save and leave
            first.send_signal(signal.SIGINT)
        code = first.wait()
    if stop.is_set() and code in (0, 130, -signal.SIGINT):
        saved = (folder / "last.pt").exists()
        raise Interrupted(f"Stopped{' and saved' * saved}. The same command goes on{' from there' * saved}.")
    if code:
        raise ConfigError(f"{folder}: a rank ended with code {code}; what it said stands above.")


def leave_with_parent() -> None:
    """In a rank: end when the run that started it does, which holds the other end of standard input."""

    def listen() -> None:
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=listen, daemon=True).start()
