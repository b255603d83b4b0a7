"""Moments that show the last O frames: where they look back to, and that all who look see the same."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from causeway import agreement, catalog, config, domain, finished, gallery, parts, run
from causeway.actions import direct
from causeway.agent import Agent
from causeway.augment import Augment, Augmentation
from causeway.bridges import identity
from causeway.data import Domain, Moments, Spec
from causeway.errors import ConfigError, DataError
from causeway.features import embedded
from causeway.monitors import none
from test_contracts import component
from worlds import Worlds

Make = Callable[..., Moments]
EYES = config.component("policy", {"name": "squeezenet", "layer": 2, "rows": 2, "columns": 2})


def two_cameras(moments: Make, **changes: Any) -> Moments:
    """40 moments, two episodes of 20; the second camera sees the negative of the first."""
    recorded = moments(40, state=2)
    return replace(recorded, frames=np.concatenate([recorded.frames, 255 - recorded.frames], 1), **changes)


def test_a_moment_shows_the_frames_before_it_and_none_of_another_episode(moments: Make) -> None:
    recorded = two_cameras(moments, history=3)
    chosen = np.array([0, 1, 2, 19, 20, 21])
    past = [[0, 0, 0], [0, 0, 1], [0, 1, 2], [17, 18, 19], [20, 20, 20], [20, 20, 21]]
    assert recorded.past(chosen).tolist() == past
    batch = recorded.take(chosen)
    assert recorded.spec == Spec(6, 32, 48, 6, 1, 2, history=3) and recorded.spec.frame == Spec(2, 32, 48, 2, 1, 2)
    assert batch.images.shape == (6, 6, 3, 32, 48) and batch.state.shape == (6, 6)
    for moment, frames in enumerate(past):
        shown = [recorded.frames[frame, camera] for frame in frames for camera in (0, 1)]
        assert np.array_equal(batch.images[moment].numpy(), shown), "the oldest frame first, all its cameras together"
        assert batch.state[moment].tolist() == recorded.state[frames].ravel().tolist()
    assert torch.equal(batch.actions, replace(recorded, history=1).take(chosen).actions)  # type: ignore[arg-type]


def test_it_looks_back_over_frames_that_are_not_in_the_set(moments: Make) -> None:
    recorded = two_cameras(moments, history=2)
    part = recorded.select(np.array([5, 9]))
    assert part.past(part.rows).tolist() == [[4, 5], [8, 9]]
    assert torch.equal(part.take().images, recorded.take(np.array([5, 9])).images)


def test_what_is_held_back_is_not_looked_at_and_looks_at_nothing_that_is_learned_from(moments: Make) -> None:
    once = moments(20, state=0)
    frames = np.broadcast_to(once.frames[:1], (1200, *once.frames.shape[1:]))
    numbers = {"state": np.zeros((1200, 0), np.float32), "actions": np.zeros((1200, 2), np.float32)}
    numbers |= {"episode": np.zeros(1200, np.int64), "time_s": np.arange(1200) / 10, "rows": np.arange(1200)}
    recorded = replace(once, frames=frames, **numbers, history=25)  # type: ignore[arg-type]
    train, tune, test = domain.split(recorded, 0.2, 0.2, block_s=10.0)
    seen, held = ({*part.past(part.rows).ravel()} for part in (train, tune.select(np.arange(len(tune)))))
    assert not seen & held and not seen & {*test.past(test.rows).ravel()}
    assert len(domain.split(replace(recorded, history=1), 0.2, 0.2, 10.0)[0]) > len(train)


def test_every_frame_of_the_past_has_the_same_scale(moments: Make) -> None:
    recorded = two_cameras(moments, history=3)
    policy = component("policy", "cnn").build(recorded.spec)  # type: ignore[attr-defined]
    policy.calibrate(recorded.select(np.arange(5, 40)))
    assert policy.state_mean.tolist() == pytest.approx(np.tile(recorded.state[5:].mean(0), 3))
    assert policy.state_scale.tolist() == pytest.approx(np.tile(recorded.state[5:].std(0), 3))


@pytest.mark.parametrize("name", catalog.names("policy"))
def test_eyes_look_at_every_picture_on_its_own(name: str) -> None:
    torch.manual_seed(0)
    spec = Spec(4, 40, 64, 0, 1, 2, history=2, points=8)
    policy = component("policy", name).build(spec).eval()  # type: ignore[attr-defined]
    if policy.spatial:
        assert not policy.frozen, "features of pictures alone are kept"
        return
    images = torch.randint(0, 255, (2, 4, 3, 40, 64), dtype=torch.uint8)
    together = policy.embed(images)
    apart = torch.cat([policy.embed(images[:, :2]), policy.embed(images[:, 2:])], 1)
    assert torch.allclose(together, apart, atol=1e-5), "features are kept by the frame and joined later"


def test_kept_features_are_what_the_eyes_make_of_the_stacked_frames(moments: Make, tmp_path: Path) -> None:
    recorded = two_cameras(moments, history=2).select(np.arange(10, 30))
    policy = EYES.build(recorded.spec)
    plain = Augmentation(Augment(), recorded.state_names, recorded.action_names, 2, 2)
    kept = embedded(policy, recorded, plain, identity.Config().build(), 1, tmp_path)
    chosen = np.array([0, 9, 10, 11])  # 10 is the first of its episode
    batch, clean = kept.take(recorded, chosen, np.zeros(4, np.int64)), recorded.take(chosen)
    assert batch.embedding is not None
    assert torch.allclose(batch.embedding, policy.embed(clean.images), rtol=2e-3, atol=2e-2)
    assert torch.equal(batch.state, clean.state) and torch.equal(batch.actions, clean.actions)  # type: ignore[arg-type]


def test_a_mirror_turns_every_frame_of_the_past(moments: Make) -> None:
    recorded = replace(moments(40, state=2), history=2)
    made = Augmentation(Augment(mirror=("state_1",)), recorded.state_names, recorded.action_names, 1, 2)
    batch = recorded.take(np.array([3, 4]))
    turned = made.mirror(batch, torch.tensor([True, False]))
    assert turned.state[0].tolist() == (batch.state[0] * torch.tensor([1, -1, 1, -1])).tolist()
    assert torch.equal(turned.images[0], batch.images[0].flip(-1)) and torch.equal(turned.state[1], batch.state[1])


PARTS = identity.Config().build(), direct.Config().build(), none.Config().build()


class Echo(torch.nn.Module):
    """A policy whose actions are the state and the first pixel of every picture it was shown."""

    action_mean = torch.zeros(1)
    spatial = False

    def __init__(self, spec: Spec):
        super().__init__()
        self.spec = spec

    def act(self, images: torch.Tensor, state: torch.Tensor, points: torch.Tensor | None = None) -> torch.Tensor:
        cloud = torch.zeros(len(state), 0) if points is None else points.flatten(1)
        return torch.cat([state, images[:, :, 0, 0, 0].float(), cloud], 1)[:, None]


def test_an_agent_remembers_what_a_recording_shows(moments: Make) -> None:
    recorded = two_cameras(moments, history=3)
    agent, found = Agent(Echo(recorded.spec), *PARTS), []  # type: ignore[arg-type]
    agent.command = lambda chunk: chunk[:, 0]  # type: ignore[method-assign]
    starts = {0: [0, 5], 4: [20, None], 7: [None, 30]}  # step -> where each of two vehicles begins an episode
    at = np.array([0, 0])
    for step in range(12):
        begun = starts.get(step, [None, None])
        if step in starts:
            agent.reset(np.array([place is not None for place in begun]))
        at = np.array([place if place is not None else now + 1 for place, now in zip(begun, at)])
        found.append((at.copy(), agent.act(recorded.frames[at], recorded.state[at])))
    first = np.array([0, 5])
    for step, (at, told) in enumerate(found):
        first = np.where([place is not None for place in starts.get(step, [None, None])], at, first)
        for vehicle in (0, 1):
            own = replace(recorded, episode=np.arange(40) >= first[vehicle])  # an episode from where it began
            seen = own.take(at[[vehicle]])
            assert told[vehicle].tolist() == Echo(recorded.spec).act(seen.images, seen.state)[0, 0].tolist()


def test_an_agent_that_looks_seldom_remembers_the_frames_before_its_plans(moments: Make) -> None:
    recorded = two_cameras(moments, history=3)
    agent, shown, looked = Agent(Echo(recorded.spec), *PARTS, execute=4), [], []  # type: ignore[arg-type]
    plan = agent.plan
    agent.plan = lambda images, state: shown.append((images, state)) or plan(images, state)  # type: ignore[method-assign]
    agent.command = lambda chunk: chunk[:, 0]  # type: ignore[method-assign]
    agent.reset(np.ones(1, bool))
    for row in range(9):
        looked.append(bool(agent.looks[0]))
        agent.act(recorded.frames[[row]] if looked[-1] else None, recorded.state[[row]])
    assert looked == [True, False, True, True, True, False, True, True, True]
    for (images, state), row in zip(shown, (0, 4, 8), strict=True):
        batch = recorded.take(np.array([row]))
        assert torch.equal(images, batch.images) and torch.equal(state, batch.state)


def test_what_vehicles_show_when_nobody_looks_is_not_remembered(moments: Make) -> None:
    recorded = two_cameras(moments, history=2)
    agent, shown = Agent(Echo(recorded.spec), *PARTS, execute=4), []  # type: ignore[arg-type]
    plan = agent.plan
    agent.plan = lambda images, state: shown.append((images, state)) or plan(images, state)  # type: ignore[method-assign]
    agent.command = lambda chunk: chunk[:, 0]  # type: ignore[method-assign]
    agent.reset(np.ones(2, bool))
    rows, looked = np.array([0, 20]), []
    for step in range(7):
        if step == 2:
            agent.reset(np.array([False, True]))
        looks = agent.looks
        looked.append(looks.tolist())
        images = recorded.frames[rows + step].copy()
        images[~looks] = 99
        agent.act(images if looks.any() else None, recorded.state[rows + step])
    both, first, second = [True, True], [True, False], [False, True]
    assert looked == [both, [False, False], second, first, first, second, second]
    for (images, state), place in zip(shown, ([0, 20], [22], [4], [26]), strict=True):
        begun = replace(recorded, episode=np.arange(40) // 20 + (np.arange(40) >= 22))
        batch = begun.take(np.array(place))
        assert torch.equal(images, batch.images) and torch.equal(state, batch.state)


def test_an_agent_that_sees_clouds_remembers_no_pictures(moments: Make) -> None:
    recorded = two_cameras(moments, history=2)
    policy = Echo(recorded.spec._replace(points=2))
    policy.spatial = True
    agent, seen = Agent(policy, *PARTS, execute=4), []  # type: ignore[arg-type]
    agent.plan = lambda images, state, points: seen.append(points[:, :, 0]) or np.zeros((1, 4, 2), np.float32)  # type: ignore[method-assign]
    agent.reset(np.ones(1, bool))
    for step in range(9):
        cloud = np.full((1, 1, 3), step, np.float32)
        agent.act(recorded.frames[[step]], recorded.state[[step]], cloud if agent.looks.any() else None)
    assert [points.tolist() for points in seen] == [[[0, 0]], [[3, 4]], [[7, 8]]]


def test_an_agent_that_looks_at_one_frame_keeps_none(moments: Make) -> None:
    recorded = two_cameras(moments)
    agent = Agent(Echo(recorded.spec), *PARTS)  # type: ignore[arg-type]
    agent.act(recorded.frames[:2], recorded.state[:2])
    assert agent.memory.past == ()


def test_worlds_and_recordings_are_compared_by_the_frame(tmp_path: Path, moments: Make) -> None:
    tree = {"method": {"name": "imitation"}, "picture": {"height": 32, "width": 48}, "history": 2}
    made = run.build(tree | {"evaluate": {"episodes": 1}}, tmp_path / "one")
    recorded = replace(moments(20, state=0), history=2)
    with run.held(made):
        policy = config.component("policy", {"name": "cnn"}).build(recorded.spec)
        parts.save(made.folder, policy, Domain("target", *[recorded] * 5))
    spec, names = parts.fits(made.folder)
    assert spec == recorded.spec and spec.frame.cameras == 1
    with pytest.raises(DataError, match="the simulator differ in cameras: 1 and 2"):
        finished.test_in_simulator(made, Worlds(cameras=("left", "right")))
    assert finished.test_in_simulator(made, Worlds())[0].error, "it is compared, and then cannot be driven in"
    agreement.refuse_other_policy(spec, names, recorded)
    with pytest.raises(DataError, match="trained for history 2, the dataset has 1"):
        agreement.refuse_other_policy(spec, names, replace(recorded, history=1))
    with pytest.raises(DataError, match="trained for cameras 1, the dataset has 2"):
        frames = np.concatenate([recorded.frames] * 2, 1)
        agreement.refuse_other_policy(spec, names, replace(recorded, frames=frames))


def test_a_part_of_before_there_was_a_history_saw_one_frame() -> None:
    old = {"cameras": 2, "height": 32, "width": 48, "state": 1, "horizon": 1, "action": 2}
    assert Spec(**old).history == 1 and Spec(**old).frame == Spec(**old)


def test_frames_of_two_rates_are_not_one_history(domains: Callable[..., tuple[Domain, Domain]]) -> None:
    source, target = (replace(side, unlabelled=replace(side.unlabelled, history=4)) for side in domains())
    agreement.refuse_mismatch(source, target, 1)
    fast = replace(target, unlabelled=replace(target.unlabelled, time_s=target.unlabelled.time_s / 2))
    said = r"A history of 4 frames lasts 0.40 s in the source \(10 Hz\) and 0.20 s in the target \(20 Hz\)"
    with pytest.raises(DataError, match=said):
        agreement.refuse_mismatch(source, fast, 1)


def test_no_history_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs history of 1 or more, not 0"):
        run.build({"method": {"name": "imitation"}, "history": 0}, tmp_path)


@pytest.mark.parametrize(
    ("name", "settings"),
    [("imitation", {"policy": {"name": "cnn", "channels": [8, 8]}, "domain_label": True}), ("ridge", {})],
)
def test_methods_learn_from_a_history(
    name: str, settings: dict[str, Any], domains: Callable[..., tuple[Domain, Domain]]
) -> None:
    parts = ("labelled", "unlabelled", "guessed", "tune", "test")
    source, target = (
        replace(side, **{part: replace(getattr(side, part), history=2) for part in parts}) for side in domains(40)
    )
    policy = {"name": "squeezenet", "layer": 2, "rows": 2, "columns": 6, "bottleneck": 16}
    settings = {"policy": policy, "mirror": ["steering"]} if name == "ridge" else settings
    method = config.component("method", {"name": name, **settings}).build(source, target, seed=0)
    method.prepare()
    for batch in method.batches(0):
        assert sum(method.cost(batch, 0.0).terms.values()).isfinite() and method.check()
        break
    batch = target.tune.take()
    assert method.part.eval().act(batch.images, batch.state).shape == (60, 1, 2)


def test_the_page_shows_one_frame_of_a_moment(domains: Callable[..., tuple[Domain, Domain]]) -> None:
    source, target = domains()
    target = replace(target, tune=replace(target.tune, history=3))
    shown = gallery.Shown("arm", 0, *[None] * 2, source, target)  # type: ignore[arg-type]
    shown = shown._replace(agent=type("A", (), {"bridge": identity.Config().build()})())
    plain = shown._replace(target=domains()[1])
    assert gallery._samples(shown) == gallery._samples(plain)
