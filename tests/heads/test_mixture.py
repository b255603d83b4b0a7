"""The mixture's likelihood by hand and by scipy, and what it does where demonstrators disagree."""

import math

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import norm

from causeway.data import Spec
from causeway.errors import ConfigError
from causeway.heads.mixture import Config, Mixture

SPEC = Spec(cameras=1, height=8, width=8, state=1, horizon=1, action=1)
ONE = torch.ones(1)


def saying(config: Config, spec: Spec, *numbers: float) -> Mixture:
    """A head that says this of every feature: the weights' logits, the middles, the raw spreads."""
    made = config.build(1, spec)
    with torch.no_grad():
        made.layers[-1].weight.zero_()
        made.layers[-1].bias.copy_(torch.tensor(numbers))
    return made


def test_a_density_by_hand() -> None:
    """Weights 3/4 and 1/4, middles 1 and -1, spreads 1 and 1: at 0 both have the density of one standard deviation."""
    raw = math.log(math.exp(0.5) - 1)  # softplus gives .5, above a least spread of .5
    head = saying(Config(modes=2, least_spread=0.5), SPEC, math.log(3), 0.0, 1.0, -1.0, raw, raw)
    guess = head(torch.zeros(1, 1), 0 * ONE, ONE)
    normal = math.exp(-0.5) / math.sqrt(2 * math.pi)
    assert guess.log_prob(torch.zeros(1, 1, 1)).item() == pytest.approx(math.log(normal), abs=1e-5)
    at_one = 0.75 / math.sqrt(2 * math.pi) + 0.25 * math.exp(-2) / math.sqrt(2 * math.pi)
    assert guess.log_prob(torch.ones(1, 1, 1)).item() == pytest.approx(math.log(at_one), abs=1e-5)
    wide = head(torch.zeros(1, 1), 3 * ONE, 2 * ONE).log_prob(torch.full((1, 1, 1), 5.0))
    assert wide.item() == pytest.approx(math.log(at_one / 2), abs=1e-5), "in units of the demonstrations"


def test_a_mode_covers_the_whole_chunk() -> None:
    torch.manual_seed(0)
    head = Config(modes=3, hidden=4).build(5, SPEC._replace(horizon=2, action=2))
    features, actions = torch.randn(4, 5), torch.randn(4, 2, 2)
    found = head(features, torch.zeros(2), torch.ones(2)).log_prob(actions)
    raw = head.layers(features).detach().numpy().astype(float)
    weights, middle, spread = raw[:, :3], raw[:, 3:15].reshape(4, 3, 4), raw[:, 15:].reshape(4, 3, 4)
    each = norm.logpdf(actions.reshape(4, 1, 4).numpy(), middle, 0.1 + np.logaddexp(0, spread)).sum(2)
    right = logsumexp(each + weights - logsumexp(weights, axis=1, keepdims=True), axis=1)
    assert found.detach().numpy() == pytest.approx(right, rel=1e-4)


def test_what_is_done_is_a_mode_and_not_the_middle() -> None:
    head = saying(Config(modes=2), SPEC, 0.1, 0.0, 1.0, -1.0, -20.0, -20.0)
    guess = head(torch.zeros(2, 1), 10 * ONE, 2 * ONE)
    assert guess.mode.flatten().tolist() == [12.0, 12.0] and guess.mean[0].item() == pytest.approx(10.1, abs=0.01)
    other = saying(Config(modes=2), SPEC, 0.0, 0.1, 1.0, -1.0, -20.0, -20.0)
    assert other(torch.zeros(1, 1), 10 * ONE, 2 * ONE).mode.item() == 8.0
    assert guess.component_distribution.stddev.min().item() == pytest.approx(0.2), "no mode is narrower than allowed"


@pytest.mark.parametrize("wrong", [{"modes": 0}, {"hidden": -1}, {"least_spread": 0.0}])
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="needs modes of 1 or more"):
        Config(**wrong)  # type: ignore[arg-type]
