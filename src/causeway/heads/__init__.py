"""From a feature to the chunks of actions it may mean. One file per head."""

from abc import ABC, abstractmethod

from torch import Tensor, nn
from torch.distributions import Distribution

from ..data import Spec


class Head(nn.Module, ABC):
    """The last part of a policy. Its Config has ``build(width: int, spec: Spec) -> Head``, width the size of a feature.

    A head tells nothing about its units: the policy hands them over, from the demonstrations that it was calibrated on.
    """

    def __init__(self, spec: Spec):
        super().__init__()
        self.shape = (spec.horizon, spec.action)

    @abstractmethod
    def forward(self, features: Tensor, mean: Tensor, scale: Tensor) -> Distribution:
        """Features (B, D) -> a distribution over actions (B, T, A), in the units of the demonstrations.

        ``mean`` and ``scale`` (A,) of the demonstrated actions give the units. The distribution has ``log_prob``, which
        is learned from, and ``mode``, the chunk that is done: a function of the features, that leans on no chance.
        """


def perceptron(width: int, hidden: int, outputs: int) -> nn.Sequential:
    """Linear layers from ``width`` to ``outputs`` numbers, with one ``hidden`` layer between; 0 leaves it out."""
    body = [nn.Linear(width, hidden), nn.ReLU()] if hidden else []
    return nn.Sequential(*body, nn.Linear(hidden or width, outputs))
