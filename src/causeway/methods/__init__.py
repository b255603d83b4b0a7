"""Ways to learn across the gap. One file per method."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn


class Cost(NamedTuple):
    """What one batch costs: ``terms`` are summed and differentiated, ``notes`` are only logged."""

    terms: Mapping[str, Tensor]
    notes: Mapping[str, float] = {}


class Method(nn.Module, ABC):
    """How a run learns. It owns every trained weight, and leaves one part behind.

    Its Config has ``part_for(spec: Spec) -> nn.Module``, the untrained part, ``build(source: Domain, target: Domain,
    seed: int, start: nn.Module | None)``, where ``start`` is the part of the run to begin from, if any, and
    ``rehearse(source: Domain, target: Domain, start: nn.Module | None)``, which raises what would be wrong when the run
    begins: pictures are blank then, guesses are missing, and ``start`` has the layout of what it will begin from, and
    perhaps not yet the weights.
    """

    rank: int = 0  # which of several devices this is; each draws other batches

    @abstractmethod
    def batches(self, start: int) -> Iterator[Any]:
        """Training batches from step ``start`` on: endless, or none for a method solved in closed form."""

    @abstractmethod
    def cost(self, batch: Any, progress: float) -> Cost:
        """The weighted loss terms of one batch; ``progress`` runs from 0 to 1 over the run."""

    @property
    @abstractmethod
    def part(self) -> nn.Module:
        """What the run is for: the Policy or the Bridge that an Agent will use."""

    def prepare(self) -> None:
        """Work done once, on the run's device, before the first step of a run that is not resumed."""

    def check(self) -> dict[str, float]:
        """Numbers for the learning curve, from the tune split."""
        return {}
