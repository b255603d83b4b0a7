"""Ridge regression on frozen features: the strong, instant baseline, solved in closed form (Hoerl & Kennard 1970).

With x the standardised features of the demonstrations, y their actions and w_i the weight of demonstration i,

    minimise  sum_i w_i |y_i - B x_i|^2 / sum_i w_i  +  penalty * E * |B|^2

over B, E the number of features. Where there are fewer demonstrations than features the same B comes from the smaller,
dual system. Each domain's features are standardised by its own mean and spread (Li et al. 2017, "AdaBN"), the target's
from its pictures alone: that much of the gap closes without a label.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Laplace

from ..augment import Augment, Augmentation
from ..bridges import identity
from ..data import Batch, Domain, Moments, Spec
from ..errors import ConfigError
from ..features import embedded
from ..policies import Policy, Wrapper, squeezenet
from . import Cost, Method
from ._streams import shares

MOST = 3000  # demonstrations of one domain, mirrored ones counted; more are thinned evenly: neighbours are alike


@dataclass(frozen=True)
class Config:
    """What is fitted to whom."""

    policy: Any = field(default_factory=squeezenet.Config)  # its frozen eyes are used, its head is not
    target_weight: float = 0.5  # share of the target's moments in the fit; 0 leaves them out, 1 the source
    guess_share: float = 0.0  # share of these whose actions are a labeller's guesses; all, where nobody demonstrated
    penalty: float = 1e-3  # raising it trusts the features less
    mirror: tuple[str, ...] = ()  # state and actions that change sign in a mirror; each moment is then seen both ways

    def part_for(self, spec: Spec) -> "Readout":
        """The policy with a linear head that a run of this method fits."""
        return Readout(self.policy.build(spec), spec)

    def rehearse(self, source: Domain, target: Domain, start: nn.Module | None) -> None:
        self._refuse_start(start)
        self.part_for(target.spec).begin()
        shares(self.target_weight, self.guess_share, len(target.labelled), len(target.guessed))
        self.augmentation(target)

    def _refuse_start(self, start: nn.Module | None) -> None:
        if start is not None:
            raise ConfigError("method 'ridge' is solved at once and cannot start from another run's part.")

    def augmentation(self, target: Domain) -> Augmentation:
        """The mirror, where there is one."""
        names = target.unlabelled.state_names, target.unlabelled.action_names
        frame, history = target.spec.frame, target.spec.history
        return Augmentation(Augment(mirror=self.mirror), *names, frame.cameras, history)

    def build(self, source: Domain, target: Domain, seed: int, start: nn.Module | None = None) -> "Ridge":
        self._refuse_start(start)
        return Ridge(self, source, target)


class Readout(Wrapper):
    """Frozen eyes, standardised features, and one linear map to the actions."""

    def __init__(self, inner: Policy, spec: Spec):
        super().__init__(inner, spec)
        if not inner.frozen:
            raise ConfigError("method 'ridge' needs a policy with frozen eyes, such as squeezenet or dino.")
        inner.requires_grad_(False)
        blank = torch.zeros(1, spec.cameras, 3, spec.height, spec.width, dtype=torch.uint8)
        self.width = inner.embed(blank).shape[1] + spec.state
        self.mean: Tensor
        self.scale: Tensor
        self.matrix: Tensor
        self.register_buffer("mean", torch.zeros(self.width))
        self.register_buffer("scale", torch.ones(self.width))
        self.register_buffer("matrix", torch.zeros(self.width, spec.horizon * spec.action))

    def project(self, embedding: Tensor, state: Tensor) -> Tensor:
        return (torch.cat([embedding, self.scaled(state)], 1) - self.mean) / self.scale

    def decode(self, features: Tensor) -> Distribution:
        middle = (features @ self.matrix).reshape(-1, self.spec.horizon, self.spec.action)
        middle = middle * self.action_scale + self.action_mean
        return Independent(Laplace(middle, self.action_scale.expand_as(middle), validate_args=False), 2)


class Ridge(Method):
    """A fit, not a search: all the work is in ``prepare``, and there is no batch to learn from."""

    def __init__(self, config: Config, source: Domain, target: Domain):
        super().__init__()
        self.config, self.source, self.target = config, source, target
        self.shares = shares(config.target_weight, config.guess_share, len(target.labelled), len(target.guessed))
        self.policy = config.part_for(target.spec)
        self.policy.begin()
        self.augmentation = config.augmentation(target)
        first = source.labelled if self.shares["source"] else target.labelled
        self.policy.calibrate(first if len(first) else target.guessed)
        if config.mirror:
            turned = self.augmentation.action_signs < 0
            self.policy.action_mean[turned] = 0.0  # left and right are alike

    @property
    def part(self) -> nn.Module:
        return self.policy

    @torch.no_grad()
    def prepare(self) -> None:
        policy = self.policy
        target_mean, target_scale = self._statistics(self.target.unlabelled)
        rows, goals, weights = [], [], []
        sides = {"source": self.source.labelled, "target": self.target.labelled, "guessed": self.target.guessed}
        for name, share in self.shares.items():
            if not share or not len(sides[name]):
                continue
            batch = self._look(sides[name], demonstrated=True)
            of_source = name == "source"
            mean, scale = self._statistics(self.source.unlabelled) if of_source else (target_mean, target_scale)
            assert batch.embedding is not None and batch.actions is not None
            rows.append((torch.cat([batch.embedding, policy.scaled(batch.state)], 1) - mean) / scale)
            goals.append(((batch.actions - policy.action_mean) / policy.action_scale).flatten(1))
            weights.append(batch.state.new_full((len(batch),), share / len(batch)))
        policy.mean.copy_(target_mean)
        policy.scale.copy_(target_scale)
        policy.matrix.copy_(solve(torch.cat(rows), torch.cat(goals), torch.cat(weights), self.config.penalty))

    def _statistics(self, moments: Moments) -> tuple[Tensor, Tensor]:
        batch = self._look(moments)
        assert batch.embedding is not None
        seen = torch.cat([batch.embedding, self.policy.scaled(batch.state)], 1)
        spread = seen.std(0) if len(seen) > 1 else torch.ones(seen.shape[1])
        return seen.mean(0), spread + 1e-2 * spread.mean().clamp_min(1e-3)

    def _look(self, moments: Moments, demonstrated: bool = False) -> Batch:
        """The embeddings of up to MOST moments, spread evenly, each in both mirrors when mirroring is asked for."""
        copies = 1 + bool(self.config.mirror)
        bridge = identity.Config().build()
        features = embedded(self.policy, moments, self.augmentation, bridge, copies, self.target.cache)
        chosen = np.unique(np.linspace(0, len(moments) - 1, min(len(moments), MOST // copies)).astype(np.int64))
        both = np.repeat(np.arange(copies), len(chosen))
        return features.take(moments, np.tile(chosen, copies), both).to(self.policy.action_mean.device)

    def batches(self, start: int) -> Iterator[Batch]:
        return iter(())

    def cost(self, batch: Batch, progress: float) -> Cost:
        raise NotImplementedError("ridge has no batches, so nothing has a cost")


def solve(x: Tensor, y: Tensor, weight: Tensor, penalty: float) -> Tensor:
    """The B (E, K) of the module's formula for features (N, E), goals (N, K) and weights (N,) that sum to 1 or less."""
    root = (weight / weight.sum()).sqrt()[:, None]
    x, y = x * root, y * root
    count, width = x.shape
    ridge = penalty * width
    if count < width:
        return x.T @ _divided(x @ x.T, ridge, y)
    return _divided(x.T @ x, ridge, x.T @ y)


def _divided(square: Tensor, ridge: float, goal: Tensor) -> Tensor:
    """``(square + ridge * 1)^-1 goal`` for a symmetric, positive ``square``, which is overwritten."""
    square.diagonal().add_(ridge)
    return torch.cholesky_solve(goal, torch.linalg.cholesky(square))
