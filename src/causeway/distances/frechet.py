"""The Fréchet distance of two Gaussians fitted to features (Heusel et al. 2017): FID, on any encoder.

    |m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2))

It is biased upwards where there are few pictures beside the D numbers of a feature (Chong & Forsyth 2020): compare it
with the noise floor, whose bias is no smaller, and with sets of the same size.
"""

from dataclasses import dataclass

import numpy as np

from . import Distance, Products


@dataclass(frozen=True)
class Config:
    """It has no settings."""

    def build(self) -> "Frechet":
        return Frechet()


class Frechet(Distance):
    """Of the encoder's vectors."""

    def between(self, own: Products, other: Products, across: Products) -> float:
        # with centred rows X (N, D) and Y (M, D), C_a = X'X / (N - 1) and the trace of (C_a C_b)^(1/2) is the nuclear
        # norm of X Y' / sqrt((N - 1)(M - 1)): no square root of a D x D matrix that so few pictures leave singular
        n, m = (max(1, count - 1) for count in across.shape)
        apart = own.mean() + other.mean() - 2 * across.mean()
        spread = (own.trace() - own.mean() * len(own)) / n + (other.trace() - other.mean() * len(other)) / m
        centred = across - across.mean(0) - across.mean(1, keepdims=True) + across.mean()
        shared = np.linalg.svd(centred, compute_uv=False).sum() / np.sqrt(n * m)
        return max(0.0, float(apart + spread - 2 * shared))
