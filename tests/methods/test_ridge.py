"""Ridge against the textbook, in both forms."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from causeway import config
from causeway.data import Domain
from causeway.errors import ConfigError
from causeway.methods.ridge import solve


@pytest.mark.parametrize(("count", "width"), [(40, 7), (7, 40)])
def test_both_forms_solve_the_stated_problem(count: int, width: int) -> None:
    torch.manual_seed(0)
    x, y = torch.randn(count, width, dtype=torch.float64), torch.randn(count, 2, dtype=torch.float64)
    weight, penalty = torch.rand(count, dtype=torch.float64), 0.03
    torch.set_default_dtype(torch.float64)
    try:
        found = solve(x, y, weight, penalty)
    finally:
        torch.set_default_dtype(torch.float32)
    found.requires_grad_(True)
    loss = (weight[:, None] * (y - x @ found).square()).sum() / weight.sum() + penalty * width * found.square().sum()
    (gradient,) = torch.autograd.grad(loss, found)
    assert gradient.abs().max() < 1e-9


def test_it_reads_the_bar_of_the_target(domains: Callable[..., tuple[Domain, Domain]]) -> None:
    eyes = {"name": "squeezenet", "layer": 3, "rows": 1, "columns": 11}
    settings = {"name": "ridge", "policy": eyes, "penalty": 1e-4, "mirror": ["steering"]}
    torch.manual_seed(0)
    source, target = domains(limit=30)
    method = config.component("method", settings).build(source, target, seed=0)
    method.prepare()
    batch = target.test.take(np.arange(60))
    guess = method.part.eval().act(batch.images, batch.state)[:, 0, 0]
    assert np.corrcoef(guess.detach(), batch.actions[:, 0, 0])[0, 1] > 0.9  # type: ignore[index]


def test_eyes_that_learn_are_refused(domains: Callable[..., tuple[Domain, Domain]]) -> None:
    with pytest.raises(ConfigError, match="frozen eyes"):
        config.component("method", {"name": "ridge", "policy": {"name": "cnn"}}).build(*domains(), seed=0)
