"""The whole of ridge, from pictures to commands, against its formula written out in numpy."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import pixels
from causeway import config
from causeway.data import Domain, Moments
from causeway.errors import ConfigError
from causeway.methods import ridge

Make = Callable[..., tuple[Domain, Domain]]


def build(source: Domain, target: Domain, **settings: Any) -> Any:
    made = config.component("method", {"name": "ridge", **settings})
    method = replace(made, policy=pixels.Config()).build(source, target, seed=0)
    method.prepare()
    return method


def guessing(target: Domain) -> Domain:
    actions = np.random.default_rng(5).uniform(-1, 1, (60, 2)).astype(np.float32)
    return replace(target, guessed=replace(target.unlabelled, actions=actions).select(np.arange(9)))


def seen(moments: Moments, teacher: Moments) -> np.ndarray:
    """What the eyes see beside the state in the units of the demonstrations."""
    pictures = moments.frames[moments.rows, 0, 0, 0][:, pixels.COLUMNS]
    state, shown = moments.state[moments.rows], teacher.state[teacher.rows]
    return np.concatenate([pictures, (state - shown.mean(0)) / shown.std(0)], 1).astype(np.float64)


@pytest.mark.parametrize(
    ("settings", "limit", "whose", "shares"),
    [
        ({}, 10, "source", {"source": 0.5, "target": 0.5}),
        ({"target_weight": 0.8, "guess_share": 0.25}, 10, "source", {"source": 0.2, "target": 0.6, "guessed": 0.2}),
        ({"target_weight": 0.25, "guess_share": 1.0}, 0, "source", {"source": 0.75, "guessed": 0.25}),
        ({"target_weight": 1.0}, 10, "target", {"target": 1.0}),
        ({"target_weight": 1.0, "guess_share": 1.0}, 0, "guessed", {"guessed": 1.0}),
        ({"target_weight": 0.0}, 10, "source", {"source": 1.0}),
        ({}, 0, "source", {"source": 1.0}),
    ],
)
def test_it_is_the_weighted_fit_in_each_domains_own_units(
    settings: dict[str, float], limit: int, whose: str, shares: dict[str, float], domains: Make
) -> None:
    source, target = domains(limit=limit, horizon=2)
    source, target = replace(source, labelled=source.labelled.select(np.arange(40))), guessing(target)
    sides = {"source": source.labelled, "target": target.labelled, "guessed": target.guessed}
    teacher = sides[whose]

    def units(moments: Moments) -> tuple[np.ndarray, np.ndarray]:
        x = seen(moments, teacher)
        spread = x.std(0, ddof=1)
        return x.mean(0), spread + 0.01 * max(spread.mean(), 1e-3)

    own = {"source": units(source.unlabelled), "target": units(target.unlabelled), "guessed": units(target.unlabelled)}
    assert teacher.actions is not None
    shown = teacher.actions[teacher.rows]
    mean, scale = shown.mean(0), np.where(shown.std(0) > 1e-6, shown.std(0), 1)
    x = np.concatenate([(seen(sides[name], teacher) - own[name][0]) / own[name][1] for name in shares])
    y = np.concatenate([((sides[name].chunks(sides[name].rows) - mean) / scale).reshape(-1, 4) for name in shares])
    w = np.concatenate([np.full(len(sides[name]), share / len(sides[name])) for name, share in shares.items()])
    penalty = 0.003
    square = x.T @ (w[:, None] * x) / w.sum() + penalty * x.shape[1] * np.eye(x.shape[1])
    fit = np.linalg.solve(square, x.T @ (w[:, None] * y) / w.sum())
    right = ((seen(target.test, teacher) - own["target"][0]) / own["target"][1]) @ fit

    part = build(source, target, penalty=penalty, **settings).part.eval()
    batch = target.test.take()
    found = part.act(batch.images, batch.state)
    np.testing.assert_allclose(found, right.reshape(-1, 2, 2) * scale + mean, atol=2e-3)


def test_left_and_right_are_alike_when_mirrored(domains: Make) -> None:
    source, target = domains(state=0)
    part = build(source, target, mirror=["steering"]).part.eval()
    batch = target.test.take()
    seen_so, mirrored = part.act(batch.images, batch.state), part.act(batch.images.flip(-1), batch.state)
    assert torch.allclose(mirrored[..., 0], -seen_so[..., 0], atol=1e-4) and seen_so[..., 0].std() > 0.05
    assert torch.allclose(mirrored[..., 1], seen_so[..., 1], atol=1e-4)


def test_more_demonstrations_than_it_needs_are_thinned_evenly(domains: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = domains()
    monkeypatch.setattr(ridge, "MOST", 20)
    method = build(source, target)
    rows = np.linspace(0, 59, 20).astype(int)
    assert method._look(source.unlabelled).state[:, 0].tolist() == source.unlabelled.state[rows, 0].tolist()
    assert len(build(source, target, mirror=["steering"])._look(source.unlabelled)) == 20, "both mirrors counted"
    assert len(method._look(target.labelled)) == 10


def test_its_eyes_begin_pretrained_and_never_learn(domains: Make) -> None:
    part = build(*domains()).part
    assert part.inner.begun == 1 and not any(weight.requires_grad for weight in part.parameters())


def test_it_cannot_begin_from_another_run(domains: Make) -> None:
    made = replace(config.component("method", {"name": "ridge"}), policy=pixels.Config())
    with pytest.raises(ConfigError, match="cannot start from another run's part"):
        made.build(*domains(), seed=0, start=torch.nn.Linear(1, 1))


def test_one_demonstration_is_enough_to_run(domains: Make) -> None:
    source, target = domains()
    alone = replace(target, unlabelled=target.unlabelled.select(np.arange(1)))
    batch = target.test.take()
    assert build(source, alone).part.eval().act(batch.images, batch.state).isfinite().all()
