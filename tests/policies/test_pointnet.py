"""A policy that looks at point clouds."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from causeway import config
from causeway.data import Domain, Spec
from causeway.errors import ConfigError
from causeway.methods.imitation import Labelled
from causeway.policies.pointnet import Config, PointNet

SPEC = Spec(cameras=2, height=32, width=48, state=2, horizon=1, action=2, history=2, points=12)
BLANK = torch.zeros(3, 2, 3, 32, 48, dtype=torch.uint8)


def made(spec: Spec = SPEC, **settings: Any) -> PointNet:
    torch.manual_seed(0)
    return Config(**settings).build(spec).eval()


def test_neither_order_nor_repetition_of_points_matters() -> None:
    policy, points = made(SPEC._replace(history=1)), torch.randn(3, 12, 3)
    seen = policy.embed(BLANK, points)
    assert torch.allclose(policy.embed(BLANK, points[:, torch.randperm(12)]), seen, atol=1e-6)
    assert torch.allclose(policy.embed(BLANK, torch.cat([points, points[:, :4]], 1)), seen, atol=1e-6)
    assert not torch.allclose(policy.embed(BLANK, points[:, :6]), seen, atol=1e-3)


def test_the_frames_of_a_history_are_embedded_one_by_one() -> None:
    policy, points = made(), torch.randn(3, 12, 3)
    single = made(SPEC._replace(history=1, points=6))
    single.point.load_state_dict(policy.point.state_dict())
    single.cloud.load_state_dict(policy.cloud.state_dict())
    apart = torch.cat([single.embed(BLANK, points[:, :6]), single.embed(BLANK, points[:, 6:])], 1)
    assert torch.allclose(policy.embed(BLANK, points), apart, atol=1e-6) and apart.shape == (3, 128)


def test_the_embedding_by_hand() -> None:
    policy, points = made(widths=(4,), embedding=3), torch.randn(3, 12, 3)
    (first, norm, _), (last, end) = policy.point, policy.cloud
    policy.centre.copy_(torch.tensor([0.5, 0.0, -1.0]))
    policy.spread.fill_(0.25)
    hidden = norm(points @ first.weight.T + first.bias).clamp_min(0).reshape(3, 2, 6, 4).max(2).values  # type: ignore[operator]
    assert torch.allclose(policy.embed(BLANK, 0.25 * points + policy.centre), end(last(hidden)).flatten(1), atol=1e-5)


def test_units_of_length_come_from_the_demonstrations(domains: Callable[..., tuple[Domain, Domain]]) -> None:
    recorded = domains()[0].labelled
    points = np.random.default_rng(0).normal((1, 2, 3), (0.1, 0.2, 0.2), (60, 200, 3)).astype(np.float16)
    points[:10] = 50  # of moments that are not in the set
    recorded = replace(recorded, points=points).select(np.arange(10, 60))
    policy = made(recorded.spec)
    policy.calibrate(recorded)
    assert policy.centre.tolist() == pytest.approx([1, 2, 3], abs=0.01)
    assert policy.spread.item() == pytest.approx(np.sqrt(0.09 / 3), rel=0.02), "one unit for all axes"
    told = Labelled(made(recorded.spec._replace(state=2)), recorded.spec)
    told.calibrate(recorded)
    assert told.spatial and torch.equal(told.inner.centre, policy.centre)  # type: ignore[arg-type]
    still = made(recorded.spec)
    still.calibrate(replace(recorded, points=np.ones((60, 4, 3), np.float16)))
    assert still.spread == 1, "a cloud of one point has no size"


def test_points_shake_in_training_alone() -> None:
    policy, points = made(shake=0.5), torch.randn(3, 12, 3)
    assert torch.equal(policy.embed(BLANK, points), policy.embed(BLANK, points))
    policy.train()
    assert not torch.equal(policy.embed(BLANK, points), policy.embed(BLANK, points))
    seen: list[torch.Tensor] = []
    policy.point.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    policy.embed(BLANK[:1], torch.zeros(1, 20_000, 3))
    assert seen[0].std().item() == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize("wrong", [{"widths": ()}, {"widths": (8, 0)}, {"embedding": 0}, {"shake": -0.1}])
def test_what_cannot_be_built_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="needs widths and embedding of 1 or more, and a shake"):
        Config(**wrong)


def test_without_clouds_there_is_nothing_to_look_at() -> None:
    with pytest.raises(ConfigError, match="holds no point clouds: collect them with depth = true"):
        Config().build(SPEC._replace(points=0))


def clouded(side: Domain) -> Domain:
    """The side with clouds that tell the first action, and nothing else that does: pictures are blank."""

    def part(name: str) -> Any:
        recorded = getattr(side, name)
        steer = getattr(side, "labelled" if name != "tune" else "tune").actions[:, 0]
        points = np.random.default_rng(0).normal(0, 0.1, (60, 8, 3)).astype(np.float16)
        points[:, 3] = np.stack([np.ones(60), steer, np.zeros(60)], 1)
        return replace(recorded, points=points, frames=np.zeros_like(recorded.frames))

    return replace(side, **{name: part(name) for name in ("labelled", "unlabelled", "guessed", "tune")})


def test_imitation_learns_from_clouds(domains: Callable[..., tuple[Domain, Domain]]) -> None:
    torch.manual_seed(0)
    source, target = map(clouded, domains(60))
    settings = {"policy": {"name": "pointnet"}, "batch": 32}
    settings["alignment"] = {"name": "coral"}
    method = config.component("method", {"name": "imitation", **settings}).build(source, target, seed=0)
    method.prepare()
    optimizer = torch.optim.AdamW(method.parameters(), lr=3e-3)
    before = method.check()["tune/target"]
    for _, batch in zip(range(60), method.batches(0)):
        optimizer.zero_grad()
        torch.stack([*method.cost(batch, 0.5).terms.values()]).sum().backward()
        optimizer.step()
    assert method.eval().check()["tune/target"] < 0.25 * before


@pytest.mark.parametrize(
    "changed", [{"augment": {"mirror": ["steering"]}}, {"augment": {"brightness": 0.5}}, {"bridge": {"name": "noise"}}]
)
def test_clouds_are_not_changed_as_pictures_are(
    changed: dict[str, object], domains: Callable[..., tuple[Domain, Domain]]
) -> None:
    source, target = map(clouded, domains())
    settings = {"policy": {"name": "pointnet"}, **changed}
    with pytest.raises(ConfigError, match="augment and bridge change pictures"):
        config.component("method", {"name": "imitation", **settings}).build(source, target, seed=0)
