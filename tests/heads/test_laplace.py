"""The regression head's units and likelihood by hand."""

import pytest
import torch

from causeway.data import Spec
from causeway.errors import ConfigError
from causeway.heads.laplace import Config

SPEC = Spec(cameras=1, height=8, width=8, state=1, horizon=2, action=2)


def test_the_head_speaks_in_the_units_of_the_demonstrations() -> None:
    head = Config(hidden=0).build(3, SPEC)
    assert len(head.layers) == 1 and len(Config(hidden=5).build(3, SPEC).layers) == 3, "0 makes the head linear"
    features, mean, scale = torch.randn(2, 3), torch.tensor([10.0, 20.0]), torch.tensor([2.0, 4.0])
    raw = head.layers(features).reshape(2, 2, 2)
    guess = head(features, mean, scale)
    assert torch.allclose(guess.mode, raw * scale + mean)
    actions = torch.tensor([[[9.0, 21.0], [10.0, 22.0]]] * 2)
    right = ((actions - guess.mode).abs() / scale + (2 * scale).log()).sum((1, 2))
    assert torch.allclose(-guess.log_prob(actions), right)


def test_less_than_no_layer_is_refused() -> None:
    with pytest.raises(ConfigError, match="hidden must be 0 or more, not -1"):
        Config(hidden=-1)
