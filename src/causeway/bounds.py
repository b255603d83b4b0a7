"""The range of commands: one number for all actions, or a list with one for each."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from .errors import ConfigError

Bound = float | tuple[float, ...]


def refuse_empty(low: Bound, high: Bound) -> None:
    """Raise ConfigError unless every ``low`` is below its ``high``."""
    if isinstance(low, tuple) and isinstance(high, tuple) and len(low) != len(high):
        raise ConfigError(f"low lists {len(low)} numbers and high {len(high)}. Give one for each action in both.")
    if () in (low, high):
        raise ConfigError("low and high are a number, or a list of one for each action, not an empty list.")
    below = np.less(low, high)
    if not below.all():
        which = f" of action {int(np.argmin(below))}, counted from 0," if below.ndim else ""
        raise ConfigError(f"low{which} must be below high: they are {low} and {high}.")


def refuse_other_actions(where: str, config: Any, actions: Sequence[str]) -> None:
    """Raise ConfigError where a setting of ``config`` lists other than one number for each of the ``actions``."""
    for field in fields(config):
        bound = getattr(config, field.name)
        if isinstance(bound, tuple) and len(bound) != len(actions):
            raise ConfigError(
                f"[{where}] {field.name} lists {len(bound)} numbers, and there are {len(actions)} actions: "
                f"{', '.join(actions)}. Give one for each, or one for all."
            )
