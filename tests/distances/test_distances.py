"""Distances of sets of pictures: by hand, by scipy, and by the formulas written out."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import linalg

from causeway.distances import cmmd, frechet, kernel, probe, products, style
from causeway.encoders import Encoder, Look, pixels

Rows = NDArray[np.float64]


def clouds(n: int, m: int, width: int, apart: float = 0.5) -> tuple[Rows, Rows]:
    rng = np.random.default_rng(n + m)
    return rng.normal(size=(n, width)), rng.normal(size=(m, width)) @ np.diag(np.linspace(0.5, 2, width)) + apart


@pytest.mark.parametrize(("n", "m", "width"), [(60, 40, 5), (8, 12, 30), (5, 90, 10)])
def test_the_frechet_distance_is_that_of_the_covariances(n: int, m: int, width: int) -> None:
    a, b = clouds(n, m, width)
    ca, cb = (np.cov(rows.T) for rows in (a, b))
    root = np.real(linalg.sqrtm(ca @ cb + 0j))
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(ca + cb - 2 * root)
    assert frechet.Config().build().of(a, b) == pytest.approx(expected, rel=1e-5)


def test_the_frechet_distance_by_hand() -> None:
    # one dimension: (m_a - m_b)^2 + (s_a - s_b)^2 with s = sqrt(2) and 2 sqrt(2)
    a, b = np.array([[0.0], [2.0]]), np.array([[3.0], [7.0]])
    assert frechet.Config().build().of(a, b) == pytest.approx((1 - 5) ** 2 + (math.sqrt(2) - 2 * math.sqrt(2)) ** 2)
    assert frechet.Config().build().of(a, a) == pytest.approx(0, abs=1e-9)


def test_the_kernel_distance_is_the_unbiased_sum_over_pairs() -> None:
    a, b = clouds(7, 5, 3)

    def k(x: Rows, y: Rows) -> float:
        return float((x @ y / 3 + 1) ** 3)

    own = np.mean([k(a[i], a[j]) for i in range(7) for j in range(7) if i != j])
    other = np.mean([k(b[i], b[j]) for i in range(5) for j in range(5) if i != j])
    across = np.mean([k(x, y) for x in a for y in b])
    rows = [torch.from_numpy(side) for side in (a, b)]
    made = kernel.Config().build()
    seen = [made.rows(Given(each)).numpy() for each in rows]
    assert made.of(*seen) == pytest.approx(own + other - 2 * across)


def test_the_kernel_distance_of_one_kind_is_nothing_on_average() -> None:
    rng = np.random.default_rng(0)
    made = kernel.Config().build()
    found = [made.of(*(rng.normal(size=(10, 4)) for _ in range(2))) for _ in range(400)]
    assert abs(np.mean(found)) < 3 * np.std(found) / 20 and min(found) < 0 < max(found)


def test_cmmd_is_the_biased_sum_over_pairs_of_vectors_of_length_one() -> None:
    a, b = clouds(6, 4, 3)
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (a, b)]

    def mean(x: Rows, y: Rows) -> float:
        return float(np.mean([np.exp(-np.square(p - q).sum() / (2 * 10**2)) for p in x for q in y]))

    expected = 1000 * (mean(unit[0], unit[0]) + mean(unit[1], unit[1]) - 2 * mean(*unit))
    made = cmmd.Config().build()
    seen = [made.rows(Given(torch.from_numpy(rows))).numpy() for rows in (a, b)]
    assert made.of(*seen) == pytest.approx(expected) and made.of(seen[0], seen[0]) == pytest.approx(0, abs=1e-9)


def test_the_style_difference_is_the_mean_over_pairs_of_the_papers_sum_over_layers() -> None:
    torch.manual_seed(0)
    layers = [torch.randn(5, channels, 6, 6) for channels in (2, 3, 4)]
    others = [torch.randn(3, channels, 6, 6) for channels in (2, 3, 4)]

    def gram(seen: torch.Tensor) -> torch.Tensor:  # of one picture
        flat = seen.flatten(1)
        return flat @ flat.T / seen.numel()

    pairs = [
        sum(float((gram(a[i]) - gram(b[j])).square().mean()) for a, b in zip(layers, others))
        for i in range(5)
        for j in range(3)
    ]
    made = style.Config().build()
    rows = [made.rows(Given(maps=[*seen, torch.zeros(len(seen[0]), 1, 1, 1)])).numpy() for seen in (layers, others)]
    assert made.of(*rows) == pytest.approx(np.mean(pairs), rel=1e-5)


def test_a_probe_tells_what_a_line_can_tell_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    made = probe.Config().build()
    a, b = rng.normal(size=(80, 6)), rng.normal(size=(60, 6))
    assert made.of(a, b + np.array([9, 0, 0, 0, 0, 0])) == 2
    assert made.of(a, b) < 0.5
    assert made.of(rng.normal(size=(40, 100)), rng.normal(size=(40, 100))) < 0.6, "it is judged on what it never saw"


def test_a_probe_minds_both_sets_alike() -> None:
    rng = np.random.default_rng(1)
    few, many = rng.normal(size=(20, 2)) + np.array([1.0, 0]), rng.normal(size=(2000, 2)) - np.array([1.0, 0])
    assert probe.Config().build().of(few, many) == pytest.approx(2 * (1 - 2 * 0.159), abs=0.25)


def test_products_of_long_rows_are_summed_in_double_precision() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(n, 20_000)).astype(np.float32) for n in (3, 4))
    assert np.allclose(products(a, b), a.astype(np.float64) @ b.astype(np.float64).T, rtol=1e-12)


class Given(Look):
    """Vectors or maps that no encoder made."""

    def __init__(self, vectors: torch.Tensor | None = None, maps: list[torch.Tensor] | None = None):
        encoder: Encoder = pixels.Config().build()
        super().__init__(encoder, torch.zeros(1, 3, style.SIDE, style.SIDE))
        self.__dict__["_seen"] = tuple(maps or ()), vectors
