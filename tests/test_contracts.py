"""What every component of a kind must do, over the whole catalog."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from causeway import catalog, config
from causeway.bridges import Bridge
from causeway.data import Domain, Moments, Spec
from causeway.encoders import Look
from causeway.metrics import Trace
from causeway.train import Training, train
from causeway.validators import Validator

SPEC = Spec(cameras=2, height=40, width=64, state=3, horizon=4, action=2)
OFFLINE = {"policy dino": {"weights": "random", "patches": [2, 3], "grid": [1, 2]}}
QUICK = {"diffusion": {"widths": [32], "embedding": 8, "steps_to_act": 4}}


def component(kind: str, name: str, **settings: object) -> object:
    return config.component(kind, {"name": name, **OFFLINE.get(f"{kind} {name}", {}), **settings})


@pytest.mark.parametrize("name", catalog.names("policy"))
def test_a_policy(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    spec = SPEC._replace(points=16)
    made = component("policy", name).build(spec)  # type: ignore[attr-defined]
    made.begin()
    images = torch.randint(0, 255, (3, 2, 3, 40, 64), dtype=torch.uint8)
    state, points = torch.randn(3, 3), torch.randn(3, 16, 3)
    features = made.encode(images, state, points)
    guess = made.decode(features)
    assert features.shape == (3, made.width) and guess.mode.shape == (3, 4, 2)
    (-guess.log_prob(torch.zeros(3, 4, 2)).mean()).backward()
    gradients = [w.grad for w in made.parameters() if w.requires_grad]
    assert all(g is not None and g.isfinite().all() for g in gradients) and any(g.abs().sum() > 0 for g in gradients)
    made.eval()
    one, other = made.act(images, state, points), made.act(images, state, points)
    assert torch.equal(one, other), "a policy in evaluation is a function"
    alone = made.act(images[:1], state[:1], points[:1])
    assert torch.allclose(alone, one[:1], atol=1e-4), "moments do not see one another"
    twin = component("policy", name).build(spec)  # type: ignore[attr-defined]
    twin.load_state_dict(made.state_dict())
    assert torch.equal(twin.eval().act(images, state, points), one), "saved weights are all there is"
    turned, moved = made.act(images.flip(-1), state, points), made.act(images, state, points + 1)
    assert torch.allclose(turned, one) == made.spatial, "a policy looks at its pictures"
    assert torch.allclose(moved, one) != made.spatial, "a spatial one at its points, and at nothing else"
    if not made.spatial:
        blind = component("policy", name).build(SPEC)  # type: ignore[attr-defined]
        blind.load_state_dict(made.state_dict())
        assert torch.equal(blind.eval().act(images, state), one), "it needs no points"


@pytest.mark.parametrize("horizon", [1, 4])
@pytest.mark.parametrize("name", catalog.names("head"))
def test_a_head(name: str, horizon: int) -> None:
    torch.manual_seed(0)
    spec = SPEC._replace(horizon=horizon)
    made = component("head", name).build(8, spec)  # type: ignore[attr-defined]
    features, actions = torch.randn(3, 8, requires_grad=True), torch.randn(3, horizon, 2)
    units = torch.tensor([10.0, 20.0]), torch.tensor([2.0, 0.5])
    guess = made(features, *units)
    chance = torch.get_rng_state()
    mode = guess.mode
    assert mode.shape == (3, horizon, 2) and torch.equal(torch.get_rng_state(), chance), "what is done is not drawn"
    likely = guess.log_prob(actions)
    assert likely.shape == (3,)
    (-likely.mean()).backward()
    gradients = [w.grad for w in made.parameters()] + [features.grad]
    assert all(g is not None and g.isfinite().all() and g.abs().sum() > 0 for g in gradients)
    made.eval()
    assert torch.equal(made(features, *units).mode, mode), "a head is a function"
    assert torch.allclose(made(features[:1], *units).mode, mode[:1], atol=1e-4), "moments do not see one another"
    assert not torch.allclose(made(features.flip(0), *units).mode, mode), "it looks at its features"
    plain = made(features, torch.zeros(2), torch.ones(2)).mode
    assert torch.allclose(plain * units[1] + units[0], mode, atol=1e-5), "in the units of the demonstrations"
    torch.manual_seed(1)
    one = guess.log_prob(actions)
    torch.manual_seed(1)
    other = made(features, torch.zeros(2), torch.ones(2)).log_prob((actions - units[0]) / units[1])
    assert torch.allclose(one, other - horizon * units[1].log().sum(), rtol=1e-4), "a density, of those units too"
    twin = component("head", name).build(8, spec)  # type: ignore[attr-defined]
    twin.load_state_dict(made.state_dict())
    assert torch.equal(twin(features, *units).mode, mode), "saved weights are all there is"


@pytest.mark.parametrize("head", catalog.names("head"))
def test_every_policy_takes_every_head(head: str) -> None:
    for name in catalog.names("policy"):
        settings = component("policy", name, head={"name": head, **QUICK.get(head, {})})
        made = settings.build(SPEC._replace(points=5)).eval()  # type: ignore[attr-defined]
        images = torch.zeros(2, 2, 3, 40, 64, dtype=torch.uint8)
        assert made.act(images, torch.randn(2, 3), torch.randn(2, 5, 3)).shape == (2, 4, 2)


BRIDGES = {
    "cut": {"width": 4, "blocks": 1, "patches": 8},
    "cyclegan": {"width": 4, "blocks": 1},
    "style": {"width": 4, "blocks": 1, "encoder": {"name": "pixels"}, "layer": 1},
    "small": {"widths": [16, 32], "steps": 4},
}


@pytest.fixture(scope="session")
def foundation(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a tiny foundation model."""
    import foundations

    return str(foundations.stable(tmp_path_factory.mktemp("model")))


def bridge(name: str, foundation: str = "") -> Bridge:
    torch.manual_seed(0)
    settings = BRIDGES.get(name, {})
    if name == "diffusion":
        settings = {"model": foundation, "side": 0, "steps": 2, "tune": "lora", "prompt": "a road", "rank": 2}
    made: Bridge = component("bridge", name, **settings).build()  # type: ignore[attr-defined]
    return made


LOOKED_UP = ("recorded",)  # bridges that answer only for pictures they know
DRAWN = [name for name in catalog.names("bridge") if name not in LOOKED_UP]


@pytest.mark.parametrize("name", DRAWN)
def test_a_bridge(name: str, moments: Callable[..., Moments], foundation: str) -> None:
    made, ours, theirs = bridge(name, foundation), moments(20), moments(20, seed=1)
    made.begin()
    made.calibrate(ours, theirs)
    images = torch.randint(0, 255, (2, 2, 3, 40, 64), dtype=torch.uint8)
    out = made(images)
    assert out.shape == images.shape and out.dtype == torch.uint8
    made.eval()
    made.clip(3)
    one = made(images)
    assert torch.equal(made(images), one), "in evaluation a bridge is a function"
    made.clip(3)
    assert torch.equal(made(images), one), "a clip is drawn by its seed"
    assert (made(images[:1]).int() - one[:1].int()).abs().max() <= 1, "moments do not see one another"
    twin = bridge(name, foundation)
    twin.load_state_dict(made.state_dict())
    twin.eval()
    twin.clip(3)
    assert torch.equal(twin(images), one), "saved weights are all there is"
    assert made(torch.zeros(1, 1, 3, 37, 50, dtype=torch.uint8)).shape == (1, 1, 3, 37, 50), "pictures of any size"


@pytest.mark.parametrize("name", DRAWN)
def test_what_a_bridge_costs(name: str, foundation: str) -> None:
    made = bridge(name, foundation).train()
    made.begin()
    sides = [made.seen(torch.rand(3, 3, 40, 64) * 2 - 1) for _ in range(2)]
    terms = made.cost(*sides, 0.5)
    weights = [weight for weight in made.parameters() if weight.requires_grad]
    assert made.learned or not (terms or weights)
    if terms:
        torch.stack([*terms.values()]).sum().backward()
        gradients = [weight.grad for weight in weights]
        assert all(g is not None and g.isfinite().all() for g in gradients)
        # half of LoRA begins at 0 and keeps the other half still for a step
        assert sum(float(g.abs().sum()) > 0 for g in gradients if g is not None) > (
            0.4 if name == "diffusion" else 0.9
        ) * len(gradients)


@pytest.mark.parametrize("name", catalog.names("encoder"))
def test_an_encoder(name: str) -> None:
    made = component("encoder", name).build()  # type: ignore[attr-defined]
    pictures = torch.rand(3, 3, 64, 96)
    look = Look(made, pictures)
    assert len(look.maps) == len(made.layers) and all(seen.ndim == 4 and len(seen) == 3 for seen in look.maps)
    assert look.vectors.shape[0] == 3 and look.vectors.ndim == 2 and look.vectors.isfinite().all() and made.name
    assert torch.allclose(Look(made, pictures[:1]).vectors, look.vectors[:1], atol=1e-4), "alone as in company"
    assert not torch.allclose(Look(made, pictures.flip(3) * 0.5).vectors, look.vectors), "it looks"
    assert not any(weight.requires_grad for weight in made.parameters()), "it is frozen"


@pytest.mark.parametrize("name", catalog.names("distance"))
def test_a_distance(name: str) -> None:
    made = component("distance", name).build()  # type: ignore[attr-defined]
    eye, pictures = component("encoder", "pixels").build(), torch.rand(24, 3, 32, 48)  # type: ignore[attr-defined]
    ours, theirs, lighter = (
        made.rows(Look(eye, part)).numpy() for part in (pictures[:12], pictures[12:], 0.3 + 0.7 * pictures[12:])
    )
    near, far = made.of(ours, theirs), made.of(ours, lighter)
    least, most = made.bounds
    assert least <= near < far <= most + 1e-9 and made.version >= 1
    assert made.of(theirs, ours) == pytest.approx(near, abs=1e-9), "from there as from here"
    shuffled = ours[np.random.default_rng(0).permutation(12)]
    assert name == "probe" or made.of(shuffled, theirs) == pytest.approx(near), "a set has no order"


@pytest.mark.parametrize("name", config.every("validator"))  # tests/validators/test_segmentation.py asks the other
def test_a_validator(name: str) -> None:
    keeps_to_the_contract_of_validators(component("validator", name).build())  # type: ignore[attr-defined]


def keeps_to_the_contract_of_validators(made: Validator) -> None:
    eye, pictures = component("encoder", "pixels").build(), torch.rand(3, 3, 32, 48)  # type: ignore[attr-defined]
    before, after = Look(eye, pictures), Look(eye, torch.cat([pictures[:1], torch.rand(2, 3, 32, 48)]))
    change = made(before, after)
    assert change.shape == (3,) and change[0].abs() < 1e-5 and (change[1:] > 1e-3).all() and made.version >= 1


@pytest.mark.parametrize("name", catalog.names("action"))
def test_an_action_map(name: str) -> None:
    chunks = np.random.default_rng(0).normal(size=(3, 5, 4, 2)).astype(np.float32)
    made, other = (component("action", name).build() for _ in range(2))  # type: ignore[attr-defined]
    for each in (made, other):
        each.reset(np.ones(5, bool))
    first = made(chunks[0])
    assert first.shape == (5, 2) and first.dtype == np.float32 and np.array_equal(first, other(chunks[0]))
    made(chunks[1])
    made.reset(np.array([True, False, False, False, False]))
    other.reset(np.ones(5, bool))
    assert np.array_equal(made(chunks[2])[0], other(chunks[2])[0]), "what begins knows nothing of what was before"


@pytest.mark.parametrize("name", catalog.names("monitor"))
def test_a_monitor(name: str) -> None:
    made = component("monitor", name).build()  # type: ignore[attr-defined]
    made.reset(np.ones(5, bool))
    safe = np.zeros((5, 2), np.float32)
    assert np.array_equal(made(safe), safe)


@pytest.mark.parametrize("name", catalog.names("metric"))
def test_a_metric(name: str) -> None:
    made = component("metric", name).build()  # type: ignore[attr-defined]
    rng = np.random.default_rng(0)

    def traces(perfect: bool) -> list[Trace]:
        found = []
        for i in range(6):
            truth = rng.normal(size=(20, 2)).astype(np.float32)
            guess = truth if perfect else -truth
            end, offset = ("completed", 0.1) if perfect else ("collision", 2.0)
            signals = {"lane_offset_m": np.full(20, offset, np.float32)}
            found.append(Trace(str(i), guess, truth, np.arange(20.0), end, 1.0 if perfect else 0.2, signals))
        return found

    good, bad = made.measure(traces(True)), made.measure(traces(False))
    assert (good > bad) == (made.direction == "higher") and good != bad
    assert np.isnan(made.measure([])) and made.version >= 1


REDRAWING = {"translation": {"name": "cut", **BRIDGES["cut"]}, "distillation": {"name": "student", "width": 8}}
HEADS = [("imitation", head, 0.75) for head in catalog.names("head")]


@pytest.mark.parametrize(
    ("name", "head", "averaging"), [*((name, "laplace", 0.0) for name in catalog.names("method")), *HEADS]
)
def test_a_method_learns_and_resumes_bit_for_bit(
    name: str, head: str, averaging: float, domains: Callable[..., tuple[Domain, Domain]], tmp_path: Path
) -> None:
    eyes = {"name": "squeezenet", "layer": 2, "rows": 2, "columns": 6, "bottleneck": 16}
    settings: dict[str, object] = {"policy": {**eyes, "head": {"name": head, **QUICK.get(head, {})}}}
    start = None
    if name in REDRAWING:
        settings, start = {"bridge": REDRAWING[name], "batch": 2}, bridge("cut")

    def run(folder: Path, steps: int, save_every: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        made = component("method", name, **settings).build(
            *domains(), seed=0, start=start if name == "distillation" else None
        )  # type: ignore[attr-defined]
        plan = Training(
            steps=steps, save_every=save_every, log_every=1, accelerator="cpu", checks=2, averaging=averaging
        )
        train(made, plan, 0, folder)
        return {key: value.clone() for key, value in made.part.state_dict().items()}

    whole = run(tmp_path / "whole", 6, 6)
    interrupted(lambda: run(tmp_path / "parts", 6, 2))
    parts = run(tmp_path / "parts", 6, 2)
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def interrupted(work: Callable[[], object]) -> None:
    """Do ``work``, killed at its second look at the clock after a checkpoint."""
    from causeway import train as module

    saved = module.save

    def save_then_die(*arguments: object) -> None:
        saved(*arguments)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    module.save = save_then_die  # type: ignore[assignment]
    try:
        work()
    except KeyboardInterrupt:
        pass
    finally:
        module.save = saved
