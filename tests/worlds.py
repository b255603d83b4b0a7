"""Worlds that cannot be driven in, to be told apart by what they show and ask for."""

from typing import Any

OTHERS: list[tuple[dict[str, Any], str]] = [  # what differs from the worlds below, and how that is refused
    ({"cameras": ("left", "right")}, "the simulator differ in cameras: 1 and 2"),
    ({"state_names": ("speed",)}, "differ in state: none and speed"),
    ({"action_names": ("throttle", "steering")}, "actions: steering, throttle and throttle, steer"),
]


class Worlds:
    """Both the settings of a simulator and its worlds; ``open`` counts those that are not closed."""

    def __init__(self, **names: tuple[str, ...]):
        self.cameras, self.state_names, self.action_names = ("front",), (), ("steering", "throttle")
        self.open, self.rate_hz = 0, 10.0
        vars(self).update(names)

    def build(self, count: int, seed: int) -> "Worlds":
        self.open += 1
        return self

    def close(self) -> None:
        self.open -= 1
