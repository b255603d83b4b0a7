"""Whether what a picture shows is still there once it has been redrawn. One file per validator."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor, nn

from ..encoders import Look as Look
from ..errors import ConfigError


@dataclass(frozen=True)
class Limited:
    """What all validators are told."""

    most: float = field(default=0.0, kw_only=True)  # change at which a picture stays; 0 learns it from unchanged ones

    def __post_init__(self) -> None:
        if self.most < 0:
            raise ConfigError(f"most is the change from which a picture stays as it was, 0 or more, not {self.most}.")


class Validator(nn.Module, ABC):
    """Its Config, a ``Limited``, has ``build() -> Validator``. It judges pairs of pictures, before and after, each pair
    by itself."""

    version: ClassVar[int] = 1  # raised whenever the same pictures would give another number
    unit: ClassVar[str] = ""
    by_encoder: ClassVar[bool] = True  # whether it sees by the encoder that looks at the pictures

    @abstractmethod
    def forward(self, before: Look, after: Look) -> Tensor:
        """B pictures as they were and redrawn -> how much of the content of each changed, (B,): 0 for the same."""
