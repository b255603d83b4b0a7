"""Whether what a picture shows is still there once it has been redrawn. One file per validator."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from ..encoders import Look as Look


class Validator(nn.Module, ABC):
    """Its Config has ``build() -> Validator``. It judges pairs of pictures, before and after, one by one."""

    version: ClassVar[int] = 1  # raised whenever the same pictures would give another number
    unit: ClassVar[str] = ""

    @abstractmethod
    def forward(self, before: Look, after: Look) -> Tensor:
        """B pictures as they were and redrawn -> how much of the content of each changed, (B,): 0 for the same."""
