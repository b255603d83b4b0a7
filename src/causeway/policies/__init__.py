"""From what is seen to what is done. One file per policy."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ..data import Moments, Spec
from ..errors import ConfigError
from ..heads import Head


class Policy(nn.Module, ABC):
    """An encoder and a head. Its Config has ``build(spec: Spec) -> Policy``.

    What normalises state and actions lives here, in buffers, so that the saved weights are all an Agent needs.
    """

    width: int  # D, the size of a feature
    spatial: bool = False  # whether it looks at point clouds and at no picture

    def __init__(self, spec: Spec):
        super().__init__()
        self.spec = spec
        self.state_mean: Tensor
        self.state_scale: Tensor
        self.action_mean: Tensor
        self.action_scale: Tensor
        self.register_buffer("state_mean", torch.zeros(spec.state))
        self.register_buffer("state_scale", torch.ones(spec.state))
        self.register_buffer("action_mean", torch.zeros(spec.action))
        self.register_buffer("action_scale", torch.ones(spec.action))

    def calibrate(self, moments: Moments) -> None:
        """Take the scale of state and actions from demonstrations. A constant channel keeps scale 1."""
        rows = moments.rows
        for name, values, times in (("state", moments.state, moments.history), ("action", moments.actions, 1)):
            if values is None or not len(rows):
                continue
            spread = torch.from_numpy(values[rows].std(0)).repeat(times)  # a frame of the past has the scale of any
            getattr(self, f"{name}_mean").copy_(torch.from_numpy(values[rows].mean(0)).repeat(times))
            getattr(self, f"{name}_scale").copy_(torch.where(spread > 1e-6, spread, torch.ones_like(spread)))
        if len(rows):
            self.focus(moments)

    def focus(self, moments: Moments) -> None:
        """Take the scale of what the eyes look at from demonstrations; eyes for pictures need none."""

    def begin(self) -> None:
        """Read the pretrained weights that the settings name; called once, by a run that begins from nothing else."""

    def kept(self) -> dict[str, Any]:
        """Settings of its Config that pretrained weights decided: saved with the part, which then needs no other."""
        return {}

    @property
    def frozen(self) -> bool:
        """Whether ``embed`` never changes, so that what it gives may be kept instead of computed again."""
        return False

    @property
    def sight(self) -> str:
        """Every setting that changes what frozen eyes make of a picture, for the name of the file that keeps it."""
        return ""

    @abstractmethod
    def embed(self, images: Tensor, points: Tensor | None = None) -> Tensor:
        """(B, V, 3, H, W) uint8 -> what the eyes make of it (B, E), before the first layer that is always trained.

        A ``spatial`` policy looks at ``points`` (B, P, 3) instead.
        """

    @abstractmethod
    def project(self, embedding: Tensor, state: Tensor) -> Tensor:
        """(B, E) and (B, S) -> features (B, D)."""

    def encode(self, images: Tensor, state: Tensor, points: Tensor | None = None) -> Tensor:
        """(B, V, 3, H, W) uint8, (B, S) and perhaps (B, P, 3) -> features (B, D)."""
        return self.project(self.embed(images, points), state)

    @abstractmethod
    def decode(self, features: Tensor) -> Distribution:
        """Features (B, D) -> a distribution over actions (B, T, A), in the units of the demonstrations.

        It is learned from by its ``log_prob``; its ``mode`` is what is done.
        """

    def act(self, images: Tensor, state: Tensor, points: Tensor | None = None) -> Tensor:
        """The most likely chunk of actions, (B, T, A)."""
        return self.decode(self.encode(images, state, points)).mode

    def scaled(self, state: Tensor) -> Tensor:
        """State (B, S) with mean 0 and spread 1 over the demonstrations."""
        return (state - self.state_mean) / self.state_scale


class Wrapper(Policy):
    """A policy that looks with the eyes of another."""

    def __init__(self, inner: Policy, spec: Spec):
        super().__init__(spec)
        self.inner, self.spatial = inner, inner.spatial

    def focus(self, moments: Moments) -> None:
        self.inner.focus(moments)

    def begin(self) -> None:
        self.inner.begin()

    def kept(self) -> dict[str, Any]:
        return self.inner.kept()

    @property
    def frozen(self) -> bool:
        return self.inner.frozen

    @property
    def sight(self) -> str:
        return self.inner.sight

    def embed(self, images: Tensor, points: Tensor | None = None) -> Tensor:
        return self.inner.embed(images, points)


class Bottleneck(nn.Module):
    """Embedding and state to a feature of ``width`` numbers, the place where domains are aligned."""

    def __init__(self, embedding: int, state: int, width: int, dropout: float):
        super().__init__()
        if not 0 <= dropout < 1:
            raise ConfigError(f"dropout is a share below 1, not {dropout}.")
        self.dropout = dropout
        self.layers = nn.Sequential(nn.Linear(embedding + state, width), nn.LayerNorm(width), nn.ReLU())

    def forward(self, embedding: Tensor, state: Tensor) -> Tensor:
        if self.training and self.dropout:
            kept = torch.rand(embedding.shape[1], device=embedding.device) >= self.dropout
            embedding = embedding * (
                kept / (1 - self.dropout)
            )  # one mask for the batch: as good, a hundred times cheaper
        features: Tensor = self.layers(torch.cat([embedding, state], 1))
        return features


class Sighted(Policy):
    """A policy made of eyes, a bottleneck and the head that a Config names; a member says only what its eyes are."""

    def __init__(self, spec: Spec, embedding: int, bottleneck: int, head: Any, dropout: float):
        super().__init__(spec)
        self.width = bottleneck
        self.bottleneck = Bottleneck(embedding, spec.state, bottleneck, dropout)
        self.head: Head = head.build(bottleneck, spec)

    def project(self, embedding: Tensor, state: Tensor) -> Tensor:
        features: Tensor = self.bottleneck(embedding, self.scaled(state))
        return features

    def decode(self, features: Tensor) -> Distribution:
        guess: Distribution = self.head(features, self.action_mean, self.action_scale)
        return guess


def floats(images: Tensor) -> Tensor:
    """(B, V, 3, H, W) uint8 -> (B * V, 3, H, W) in 0..1."""
    return images.flatten(0, 1).to(torch.get_default_dtype()) / 255
