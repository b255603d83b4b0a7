"""The range of commands: one number for all actions, or a list with one for each."""

from collections.abc import Mapping, Sequence

import numpy as np

from .errors import ConfigError

Bound = float | tuple[float, ...]


def refuse_empty(low: Bound, high: Bound) -> None:
    """Raise ConfigError unless every ``low`` is below its ``high``."""
    if isinstance(low, tuple) and isinstance(high, tuple) and len(low) != len(high):
        raise ConfigError(f"low lists {len(low)} numbers and high {len(high)}. Give one for each action in both.")
    if not np.less(low, high).all() or () in (low, high):
        raise ConfigError("low must be below high.")


def refuse_other_actions(where: str, bounds: Mapping[str, Bound], actions: Sequence[str]) -> None:
    """Raise ConfigError where one of the named ``bounds`` lists other than one number for each of the ``actions``."""
    for name, bound in bounds.items():
        if isinstance(bound, tuple) and len(bound) != len(actions):
            raise ConfigError(
                f"[{where}] {name} lists {len(bound)} numbers, and there are {len(actions)} actions: "
                f"{', '.join(actions)}. Give one for each, or one for all."
            )
