"""A method that fails while it is made, as its settings say."""

import os
import signal
import time
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Config:
    """How it fails."""

    killed: bool = False  # ends the process as the kernel does when memory runs out
    deaf: bool = False  # hears no Ctrl-C, and goes on for hours

    def rehearse(self, source: Any, target: Any, start: Any) -> None:
        pass

    def build(self, *_: Any) -> None:
        if self.killed:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.deaf:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            time.sleep(10_000)
        raise FloatingPointError("nothing to learn")
