"""Memory that runs out: which settings to lower, instead of what an allocator says."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from .errors import ConfigError

FULL = ("not enough memory", "out of memory", "can't allocate memory")  # of the CPU, of a GPU, of both


@contextmanager
def roomy(who: str, advice: str) -> Iterator[None]:
    """Raises ConfigError that ``who`` has no memory, and the ``advice``, where torch or NumPy has none."""
    try:
        yield
    except MemoryError:
        raise ConfigError(f"{who}: {advice}") from None
    except RuntimeError as error:
        if not any(sign in str(error).lower() for sign in FULL) and not isinstance(error, torch.OutOfMemoryError):
            raise
        raise ConfigError(f"{who}: {advice}") from None
