"""Regression of a chunk of actions: a Laplace distribution whose spread follows the demonstrations'.

Its likelihood is the absolute error in units of that spread, which a few odd labels do not bend.
"""

from dataclasses import dataclass

from torch import Tensor, distributions

from ..data import Spec
from ..errors import ConfigError
from . import Head, perceptron


@dataclass(frozen=True)
class Config:
    """The size of the regression."""

    hidden: int = 64  # width of the hidden layer; 0 makes the head linear

    def __post_init__(self) -> None:
        if self.hidden < 0:
            raise ConfigError(f"hidden must be 0 or more, not {self.hidden}.")

    def build(self, width: int, spec: Spec) -> "Laplace":
        return Laplace(self, width, spec)


class Laplace(Head):
    """One guess; where demonstrations disagree it lies between them (at their median)."""

    def __init__(self, config: Config, width: int, spec: Spec):
        super().__init__(spec)
        self.layers = perceptron(width, config.hidden, spec.horizon * spec.action)

    def forward(self, features: Tensor, mean: Tensor, scale: Tensor) -> distributions.Distribution:
        middle = self.layers(features).unflatten(1, self.shape) * scale + mean
        numbers = distributions.Laplace(middle, scale.expand_as(middle), validate_args=False)
        return distributions.Independent(numbers, 2, validate_args=False)
