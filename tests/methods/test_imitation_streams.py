"""What goes into a batch of imitation, and what its cost is made of, against plain formulas."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import pixels
from causeway import config, progress
from causeway.alignments import Alignment
from causeway.bridges import Bridge
from causeway.data import Domain, Joint
from causeway.errors import ConfigError
from causeway.methods.imitation import Imitation

Make = Callable[..., tuple[Domain, Domain]]
SMALL = {"name": "cnn", "channels": [8], "bottleneck": 8, "head": {"name": "laplace", "hidden": 0}, "dropout": 0.0}
FROZEN = {"policy": pixels.Config()}


def build(
    source: Domain, target: Domain, start: Any = None, seed: int = 0, replaced: Any = None, **settings: Any
) -> Any:
    torch.manual_seed(0)
    made = config.component("method", {"name": "imitation", "batch": 40, "policy": SMALL, **settings})
    method: Imitation = replace(made, **replaced or {}).build(source, target, seed, start)
    method.prepare()
    return method


def guessing(target: Domain) -> Domain:
    """With guesses for its first 7 training moments."""
    actions = np.full((60, 2), 0.25, np.float32)
    return replace(target, guessed=replace(target.unlabelled, actions=actions).select(np.arange(7)))


class Spy(Alignment):
    """Its own Config: keeps what it is given, and costs 3."""

    def build(self, width: int, actions: int) -> "Spy":
        return self

    def forward(self, source: Joint, target: Joint, progress: float) -> Tensor:
        self.seen = source, target, progress
        return torch.tensor(3.0)

    def notes(self) -> dict[str, float]:
        return {"note": 1.5}


@dataclass(frozen=True)
class Black:
    """A bridge's Config."""

    def build(self) -> Bridge:
        class Made(Bridge):
            def forward(self, images: Tensor) -> Tensor:
                return images * 0

        return Made()


def test_each_kind_of_moment_has_its_share_of_the_batch(domains: Make) -> None:
    source, target = domains()
    target = replace(guessing(target), unlabelled=replace(target.unlabelled, actions=target.tune.actions))
    method = build(source, target, target_weight=0.8, guess_share=0.5, alignment={"name": "coral"})
    told = [(s.name, s.size, s.side, pytest.approx(s.weight)) for s in method.streams]
    assert told == [("source", 8, 0, 0.2), ("target", 16, 1, 0.4), ("guessed", 16, 1, 0.4), ("unlabelled", 20, 1, 0)]
    rows = [s.moments.rows.tolist() for s in method.streams]
    assert rows == [list(range(60)), list(range(10)), list(range(7)), list(range(60))]
    assert method.streams[1].moments is target.labelled and method.streams[2].moments is target.guessed
    assert method.streams[3].moments.frames is target.unlabelled.frames and method.streams[3].moments.actions is None
    assert [s.name for s in build(source, target).streams] == ["source", "target"]


def test_what_is_drawn_follows_seed_rank_stream_and_step(domains: Make) -> None:
    method, other = build(*domains()), build(*domains(), seed=1)
    stream = method.streams[0]

    def states(made: Any, number: int = 0, step: int = 3) -> list[float]:
        drawn = stream._replace(number=number).draw((made.seed, made.rank), step)
        return drawn.state.flatten().tolist()  # type: ignore[no-any-return]

    one = states(method)
    assert states(method) == one and states(other) != one
    assert states(method, number=1) != one and states(method, step=4) != one
    method.rank = 1
    assert states(method) != one
    method.rank = 0
    going = method.batches(2)
    assert [part.state.tolist() for part in next(going)] != [part.state.tolist() for part in next(going)]
    assert next(method.batches(3))[0].state.flatten().tolist() == one


def test_a_frozen_eye_draws_among_all_copies(domains: Make) -> None:
    method = build(*domains(), replaced=FROZEN, copies=3, augment={"mirror": ["steering"]})
    assert method.streams[0].features.values.shape[0] == 6
    kept = SimpleNamespace(values=np.zeros((6, 1, 1)), take=lambda moments, chosen, copies: copies)
    assert set(method.streams[0]._replace(features=kept).draw((0, 0), 0)) == set(range(6))


@pytest.mark.parametrize("mirror", [[], ["steering", "state_0"]])
def test_terms_are_weighted_errors_in_units_of_the_demonstrations(domains: Make, mirror: list[str]) -> None:
    source, target = domains(horizon=2)
    method = build(source, guessing(target), target_weight=0.8, guess_share=0.25, augment={"mirror": mirror})
    torch.manual_seed(1)
    terms = method.cost(next(method.batches(0)), 0.0).terms
    policy = method.policy
    for stream, part in zip(method.streams, method._turned):
        error = (part.actions - policy.act(part.images, part.state)).abs() / policy.action_scale
        right = stream.weight * (error.mean().item() + math.log(2))  # minus the log of a Laplace density of spread 1
        assert terms[f"imitation/{stream.name}"].item() == pytest.approx(right, rel=1e-4)


def test_the_alignment_compares_demonstrated_and_predicted_actions(domains: Make) -> None:
    source, target = domains(horizon=2)
    spy = Spy()
    settings = {"target_weight": 0.5, "guess_share": 0.5, "alignment_weight": 0.5}
    method = build(source, guessing(target), replaced={"alignment": spy}, **settings)
    batch = next(method.batches(0))
    cost = method.cost(batch, 0.25)
    ours, theirs, progress = spy.seen
    assert cost.terms["alignment"].item() == 1.5 and cost.notes == {"note": 1.5} and progress == 0.25
    policy, (first, second, _, hidden) = method.policy, batch
    units = lambda actions: (actions - policy.action_mean) / policy.action_scale  # noqa: E731
    assert torch.allclose(ours.actions, units(first.actions)) and len(theirs.actions) == 10 + 20
    assert torch.allclose(theirs.actions[:10], units(second.actions)), "guesses are not compared"
    assert torch.allclose(theirs.actions[10:], units(policy.act(hidden.images, hidden.state)), atol=1e-5)
    assert torch.allclose(theirs.features[10:], policy.encode(hidden.images, hidden.state), atol=1e-5)
    assert ours.features.requires_grad and theirs.features.requires_grad and not theirs.actions.requires_grad


def test_a_guess_to_compare_is_what_would_be_done_and_is_not_learned_from(
    domains: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = domains(horizon=2)
    spy, head = Spy(), {"name": "diffusion", "widths": [32], "embedding": 8}
    method = build(source, target, replaced={"alignment": spy}, policy=SMALL | {"head": head})
    denoiser, planned = method.policy.head, []
    plan = denoiser.plan
    monkeypatch.setattr(denoiser, "plan", lambda noise, seen: planned.append(len(noise)) or plan(noise, seen))
    batch = next(method.batches(0))
    terms = method.cost(batch, 0.0).terms
    assert planned == [20] and not spy.seen[1].actions.requires_grad, "of moments that nobody demonstrated alone"
    policy, hidden = method.policy, batch[2]
    units = (policy.act(hidden.images, hidden.state) - policy.action_mean) / policy.action_scale
    assert torch.allclose(spy.seen[1].actions[20:], units, atol=1e-4)
    assert 0.3 < terms["imitation/source"].item() / 0.5 < 3, "the squared error of noise of spread 1"


@pytest.mark.parametrize(("weight", "limit", "whose"), [(0.5, 10, "source"), (1.0, 10, "target"), (1.0, 0, "guessed")])
def test_units_are_those_of_whoever_is_imitated(domains: Make, weight: float, limit: int, whose: str) -> None:
    source, target = domains(limit=limit)
    target = guessing(target)
    method = build(source, target, target_weight=weight, guess_share=1.0 if whose == "guessed" else 0.0)
    teacher = {"source": source.labelled, "target": target.labelled, "guessed": target.guessed}[whose]
    assert teacher.actions is not None
    assert method.policy.action_mean.tolist() == pytest.approx(teacher.actions[teacher.rows].mean(0), rel=1e-5)


def test_another_runs_part_is_taken_as_it_is(domains: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    first = build(*domains())
    begun: list[object] = []
    monkeypatch.setattr(type(first.policy), "begin", lambda policy: begun.append(policy))
    with torch.no_grad():
        first.policy.action_mean.fill_(5.0)
    assert build(*domains(), start=first.policy).policy.action_mean.tolist() == [5.0, 5.0] and not begun
    build(*domains())
    assert len(begun) == 1, "what begins from nothing reads its pretrained weights"


def test_training_pictures_pass_the_bridge_and_half_of_them_a_mirror(
    domains: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = domains()
    seen: list[Tensor] = []
    method = build(source, target, augment={"mirror": ["steering", "state_0"]})
    embed, project = method.policy.embed, method.policy.project
    monkeypatch.setattr(method.policy, "embed", lambda images, points: seen.append(images) or embed(images))
    monkeypatch.setattr(method.policy, "project", lambda e, state: seen.append(state) or project(e, state))
    batch = next(method.batches(0))
    method.cost(batch, 0.0)
    before = torch.cat([part.images for part in batch])
    turned = (seen[0] != before).flatten(1).any(1)
    assert torch.equal(seen[0][turned], before[turned].flip(-1)) and 0.25 < turned.float().mean() < 0.75
    signs = torch.where(turned, -1.0, 1.0)
    assert torch.equal(seen[1][:, 0], torch.cat([part.state for part in batch])[:, 0] * signs)
    steer = [torch.cat([part.actions[:, 0, 0] for part in parts]) for parts in (batch, method._turned)]
    assert torch.equal(steer[1], steer[0] * signs)
    for changes in ({"replaced": {"bridge": Black()}}, {"augment": {"brightness": 0.5}}):
        seen.clear()
        method = build(source, target, **changes)
        monkeypatch.setattr(
            method.policy, "embed", lambda images, points, of=method.policy.embed: seen.append(images) or of(images)
        )
        method.cost(batch, 0.0)
        assert not torch.equal(seen[0], before) and (("augment" in changes) or not seen[0].any())


def test_the_policy_is_told_the_domain_of_each_moment(domains: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    method = build(*domains(), domain_label=True, target_weight=0.25)
    policy, told = method.policy, []
    assert (
        torch.equal(policy.inner.action_scale, policy.action_scale) and policy.inner.state_mean[0] == policy.state_mean
    )
    project = policy.inner.project
    monkeypatch.setattr(policy.inner, "project", lambda e, state: told.append(state) or project(e, state))
    method.cost(next(method.batches(0)), 0.0)
    assert told[0][:, 1].tolist() == [0] * 30 + [1] * 10 and policy.side is None


@pytest.mark.parametrize("replaced", [{}, FROZEN], ids=["learning", "frozen"])
def test_a_check_is_the_error_of_the_first_action_on_clean_tune_moments(
    domains: Make, replaced: dict[str, Any]
) -> None:
    source, target = domains(horizon=3)
    method = build(source, target, replaced=replaced, augment={"mirror": ["steering"]})
    method.eval()
    found = method.check()
    for side in (source, target):
        batch = side.tune.take()
        assert batch.actions is not None
        error = (method.policy.act(batch.images, batch.state) - batch.actions)[:, 0].abs().mean().item()
        assert found[f"tune/{side.name}"] == pytest.approx(error, rel=1e-3)
    assert build(source, replace(target, tune=target.tune.hidden())).check().keys() == {"tune/source"}


def test_the_published_interval_is_said_once_where_it_applies(
    domains: Make, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SAID", set())
    build(*domains())
    assert "10 labelled target and 60 source moments" in (said := capsys.readouterr().err)
    assert "0.143 to 0.408" in said and said.endswith("here it is 0.5.\n")
    build(*domains())
    build(*domains(limit=0))
    build(*domains(), target_weight=0.0)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "wrong", [{"target_weight": -0.1}, {"guess_share": 1.5}, {"guess_share": -0.5}, {"batch": 1}, {"copies": 0}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"are shares, from 0 to 1|batch of 2 or more and copies of 1 or more"):
        config.component("method", {"name": "imitation", **wrong})
