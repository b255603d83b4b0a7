"""CORAL against numpy and by hand."""

import numpy as np
import pytest
import torch

from causeway.alignments.coral import Config
from causeway.data import Joint


def test_two_features_by_hand() -> None:
    # C_s = [[2, 2], [2, 2]], C_t = [[.5, 0], [0, 0]]: (1.5^2 + 3 * 2^2) / (4 * 2^2)
    s, t = torch.tensor([[0.0, 0.0], [2.0, 2.0]]), torch.tensor([[0.0, 3.0], [1.0, 3.0]])
    loss = Config().build(2, 1)(Joint(s, s), Joint(t, t), 0.0)
    assert loss.item() == pytest.approx((2.25 + 12) / 16)


def test_it_is_the_equation_in_numpy() -> None:
    draw = np.random.default_rng(0)
    s, t = draw.normal(size=(9, 4)), draw.normal(size=(6, 4)) @ draw.normal(size=(4, 4))
    gap = np.cov(s, rowvar=False) - np.cov(t, rowvar=False)
    joints = (Joint(torch.from_numpy(x), torch.zeros(len(x), 1)) for x in (s, t))
    assert Config().build(4, 1)(*joints, 0.0).item() == pytest.approx((gap**2).sum() / (4 * 4**2))


def test_it_is_blind_to_a_shift() -> None:
    z = torch.randn(8, 3)
    assert Config().build(3, 1)(Joint(z, z), Joint(z + 5, z), 0.0).item() == pytest.approx(0, abs=1e-9)
