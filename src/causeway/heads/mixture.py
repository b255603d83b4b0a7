"""A mixture of K Gaussians over whole chunks, for demonstrators who do now this and now that (Bishop 1994).

With w, m and s read off the feature by one network, and z = (actions - mean) / scale in units of the demonstrations,

    p(z) = sum_k  w_k  prod_ta  N(z_ta; m_kta, s_kta),     s = least_spread + softplus(.)

which is the policy "BC-GMM" of robomimic (Mandlekar et al. 2021) for a chunk instead of one action. What is done is
the middle of the most likely Gaussian: the mean of the mixture lies between the modes, where nobody drove. robomimic
draws a sample, in evaluation with the spread set to nearly 0; the middle makes that needless.
"""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from ..data import Spec
from ..errors import ConfigError
from . import Head, perceptron


@dataclass(frozen=True)
class Config:
    """How many ways there may be, and how sharply they are told apart."""

    modes: int = 5  # K; raising it tells more ways of acting apart, each learned from fewer demonstrations
    hidden: int = 64  # width of the hidden layer; 0 makes the head linear
    least_spread: float = 0.1  # of a mode, in spreads of the demonstrations; raising it lets no few labels win

    def __post_init__(self) -> None:
        if self.modes < 1 or self.hidden < 0 or self.least_spread <= 0:
            raise ConfigError("needs modes of 1 or more, hidden of 0 or more and least_spread above 0.")

    def build(self, width: int, spec: Spec) -> "Mixture":
        return Mixture(self, width, spec)


class Modes(MixtureSameFamily):
    """A mixture whose ``mode`` is the middle of its heaviest component."""

    @property
    def mode(self) -> Tensor:
        heaviest = self.mixture_distribution.logits.argmax(1)[:, None, None, None]
        middles: Tensor = self.component_distribution.mean  # (B, K, T, A)
        return middles.take_along_dim(heaviest, 1)[:, 0]


class Mixture(Head):
    """Weights, middles and spreads of the K Gaussians from one network."""

    def __init__(self, config: Config, width: int, spec: Spec):
        super().__init__(spec)
        self.config = config
        self.layers = perceptron(width, config.hidden, config.modes * (1 + 2 * spec.horizon * spec.action))

    def forward(self, features: Tensor, mean: Tensor, scale: Tensor) -> Modes:
        modes = self.config.modes
        weights, rest = self.layers(features).tensor_split([modes], 1)
        middle, spread = rest.unflatten(1, (2, modes, *self.shape)).unbind(1)
        spread = self.config.least_spread + nn.functional.softplus(spread)
        chunks = Independent(Normal(middle * scale + mean, spread * scale, validate_args=False), 2, validate_args=False)
        return Modes(Categorical(logits=weights, validate_args=False), chunks, validate_args=False)
