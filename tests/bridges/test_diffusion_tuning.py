"""The bridge ``diffusion`` on tiny models of the real classes: how it is tuned, kept and loaded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from causeway import config, parts
from causeway.bridges import _families, _foundations, diffusion
from causeway.data import Domain
from causeway.errors import ConfigError
from causeway.train import Training, train
from foundations import Tiny, far, pictures

pytestmark = pytest.mark.slow

TUNED = ["stable", "large", "refiner", "three", "flux"]


def theirs() -> Tensor:
    return pictures(4)[:, 0].float() / 127.5 - 1


def loss(made: diffusion.Diffusion, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    return made.cost(theirs(), theirs(), 0.0)["denoise"]


def learned(made: diffusion.Diffusion, steps: int = 4, rate: float = 1e-2) -> list[float]:
    """The losses on the same noise while it learns."""
    optimizer = torch.optim.Adam(made.parameters(), rate)
    found = []
    for _ in range(steps):
        optimizer.zero_grad()
        cost = loss(made)
        cost.backward()
        optimizer.step()
        found.append(cost.item())
    return [*found, loss(made).item()]


@pytest.mark.parametrize("tune", ["lora", "dreambooth"])
@pytest.mark.parametrize("family", TUNED)
def test_what_is_tuned_learns_and_nothing_else(family: str, tune: str, tiny: Tiny) -> None:
    torch.manual_seed(0)
    made = tiny(family, tune=tune, rank=4)
    made.begin()
    assert made.learned and made._foundation
    frozen = {name: each.clone() for name, each in weights(made).items() if not each.requires_grad}
    loss(made).backward()
    first = {name: each.grad for name, each in made.named_parameters()}
    assert all(grad is not None and grad.isfinite().all() for grad in first.values())
    nothing = {name for name, grad in first.items() if grad is not None and not grad.abs().sum()}
    mute = {name for name in first if family == "three" and "add_q_proj" in name}  # its last block asks words nothing
    assert nothing == mute | {name for name in first if "lora_A" in name}, "B is 0 at first, so A has no say"
    costs = learned(made)
    assert costs[-1] < 0.99 * costs[0]
    loss(made).backward()
    heard = {name for name, each in made.named_parameters() if each.grad is not None and each.grad.abs().sum() > 0}
    assert heard == first.keys() - mute
    now = weights(made)
    assert frozen and all(torch.equal(now[name], each) and now[name].grad is None for name, each in frozen.items())
    if tune == "lora":
        assert {name.split(".")[-3] for name in first} == {"lora_A", "lora_B"}
        changed = {name.split(".")[-4] for name in first}
        assert {"to_q", "to_k", "to_v"} < changed
        assert ({"add_q_proj", "add_k_proj", "add_v_proj"} < changed) == (family in ("three", "flux"))
        assert all(4 in each.shape for each in made.parameters())
    else:
        assert len(first) == len(list(made._foundation.denoiser.parameters()))


def weights(made: diffusion.Diffusion) -> dict[str, Tensor]:
    """All of the foundation's."""
    assert made._foundation
    modules = {
        name: each for name, each in made._foundation.pipe.components.items() if isinstance(each, torch.nn.Module)
    }
    return {f"{name}.{key}": each for name, module in modules.items() for key, each in module.named_parameters()}


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_the_truth_of_a_diffusion_gives_the_latents_back(prediction: str) -> None:
    from causeway.bridges._loading import library
    from foundations import schedule

    torch.manual_seed(0)
    scheduler = library().DDPMScheduler.from_config(schedule(prediction).config)
    z = torch.randn(64, 4, 3, 3)
    noised = _foundations.diffused(scheduler, z)
    left = scheduler.alphas_cumprod[noised.time].view(-1, 1, 1, 1)
    solved = {
        "epsilon": (noised.latents - (1 - left).sqrt() * noised.truth) / left.sqrt(),
        "v_prediction": left.sqrt() * noised.latents - (1 - left).sqrt() * noised.truth,
        "sample": noised.truth,
    }
    assert torch.allclose(solved[prediction], z, atol=1e-3)
    assert noised.time.min() < 100 and noised.time.max() > 900 and far(noised.latents, z) > 1


def test_the_truth_of_a_flow_is_the_way_from_the_latents_to_noise() -> None:
    torch.manual_seed(0)
    z = 3 + torch.randn(500, 1, 4, 4)
    noised = _foundations.flowed(z)
    share = noised.time.view(-1, 1, 1, 1)
    assert torch.allclose(noised.latents - share * noised.truth, z, atol=1e-5)
    noise = noised.latents + (1 - share) * noised.truth
    assert abs(noise.mean()) < 0.05 and abs(noise.std() - 1) < 0.05
    assert abs(noised.time.median() - 0.5) < 0.05 and 0.15 < noised.time.std() < 0.25, "a logistic normal"


@pytest.mark.parametrize("family", TUNED)
def test_the_loss_is_the_mean_square_of_what_the_guess_is_off(
    family: str, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tiny(family, tune="lora")
    made.begin()
    for off in (0.0, 2.0):
        kind = type(made._foundation)
        monkeypatch.setattr(kind, "guess", lambda self, noised, told, off=off: noised.truth + off)
        assert loss(made).item() == pytest.approx(off**2, abs=1e-5)


@pytest.mark.parametrize("family", TUNED)
def test_the_denoiser_is_told_the_instance_the_time_and_the_latents(family: str, tiny: Tiny) -> None:
    made = tiny(family, tune="lora", instance="x simulation")
    one, model = loss(made), made._foundation
    assert model
    model.say("another", "another", "x simulation")
    assert torch.equal(loss(made), one)
    model.say("another", "another", "another")
    assert not torch.equal(loss(made), one)
    told = _foundations.repeated(model.called, 2)
    z = torch.randn(2, 4, 12, 16)
    times = (0.1, 0.9) if model.flows else (100, 900)
    early, late = (model.guess(_foundations.Noised(z, torch.tensor([t, t]), z), told) for t in times)
    assert early.shape == z.shape and not torch.allclose(early, late, atol=1e-6)
    for name, value in ((name, value) for name, value in told.items() if not name.startswith("negative")):
        other = model.guess(_foundations.Noised(z, torch.full((2,), times[0]), z), {**told, name: 1 - value})
        assert not torch.allclose(other, early, atol=1e-6), f"{name} has a say"
    alone = model.guess(_foundations.Noised(z[1:], torch.tensor([times[0]]), z), _foundations.repeated(model.called, 1))
    assert torch.allclose(alone, early[1:], atol=1e-4)


def test_latents_are_scaled_and_shifted_as_the_model_learned_them(tiny: Tiny) -> None:
    made = tiny("flux")
    made.begin()
    model = made._foundation
    assert model
    seen = torch.zeros(1, 3, 16, 16)
    spread = model.pipe.vae.encode(seen).latent_dist
    spread.deterministic = True
    torch.manual_seed(0)
    noise = torch.randn(spread.mean.shape)
    torch.manual_seed(0)
    raw = spread.mean + spread.std * noise
    assert torch.allclose(model.latents(seen), (raw - 0.06) * 0.18215, atol=1e-6)


def test_flux_finds_each_latent_where_it_put_it(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tiny("flux", tune="lora")
    made.begin()
    model = made._foundation
    assert model
    calls: list[dict[str, Any]] = []

    def same(**named: Any) -> Any:
        calls.append(named)
        return type("Output", (), {"sample": named["hidden_states"]})

    monkeypatch.setattr(model.denoiser, "forward", same)
    z = torch.randn(2, 4, 6, 8)
    assert torch.equal(model.guess(_foundations.Noised(z, torch.rand(2), z), _foundations.repeated(model.called, 2)), z)
    assert calls[0]["img_ids"][:, 1:].tolist() == [[row, column] for row in range(3) for column in range(4)]
    assert calls[0]["guidance"].tolist() == [_families.CALM] * 2


@pytest.mark.parametrize("tune", ["lora", "dreambooth"])
def test_what_was_tuned_is_all_that_another_process_needs(tune: str, tiny: Tiny, plain: Tensor) -> None:
    images = pictures()
    torch.manual_seed(0)
    made = tiny(tune=tune)
    assert not made.state_dict(), "nothing is loaded to find out what it holds"
    made.begin()
    assert tune == "dreambooth" or torch.equal(made(images), plain)
    learned(made)
    state = {name: value.clone() for name, value in made.state_dict().items()}
    drawn = made(images)
    assert far(drawn, plain) > 1 and all(name.startswith("tuned.") for name in state)
    fresh = tiny(tune=tune)
    fresh.load_state_dict(state)
    with torch.inference_mode():
        assert torch.equal(fresh(images), drawn)
    assert torch.equal(loss(fresh), loss(made)), "it goes on learning where the other stands"
    loss(fresh).backward()
    assert all(each.grad is not None and each.grad.isfinite().all() for each in fresh.parameters())
    begun = tiny(tune=tune)
    begun.begin()
    begun.load_state_dict(state)
    assert torch.equal(begun(images), drawn), "one that is loaded already takes them too"
    with pytest.raises(RuntimeError, match="Unexpected key"):
        tiny().load_state_dict(state)
    wrong = tiny("large", tune=tune) if tune == "dreambooth" else tiny(tune=tune, rank=2)
    wrong.load_state_dict(state)
    with pytest.raises(ConfigError, match="do not fit model, tune and rank"):
        wrong(images)


def test_loading_late_moves_nobodys_chance(tiny: Tiny) -> None:
    made = tiny(tune="lora")
    made.begin()
    state = made.state_dict()
    late = tiny(tune="lora")
    late.load_state_dict(state)
    assert torch.equal(loss(late), loss(made)) and torch.equal(loss(late), loss(made))


def test_what_saves_memory_changes_no_gradient(tiny: Tiny) -> None:
    found = []
    for settings in ({}, {"recompute": True}):
        torch.manual_seed(0)
        made = tiny(tune="dreambooth", **settings)
        made.begin()
        made.train()
        loss(made).backward()
        assert made._foundation
        assert made._foundation.denoiser.is_gradient_checkpointing == bool(settings)
        found.append(torch.cat([each.grad.flatten() for each in made.parameters() if each.grad is not None]))
    assert torch.allclose(*found, atol=1e-6)


@pytest.mark.parametrize("tune", ["lora", "dreambooth"])
def test_half_precision_learns_in_whole_weights(tune: str, tiny: Tiny) -> None:
    made = tiny(tune=tune, precision="bfloat16")
    made.begin()
    costs = learned(made, 2)
    assert costs[-1] < 0.99 * costs[0] and costs[0] == pytest.approx(loss(tiny(tune=tune)).item(), rel=0.05)
    assert made._foundation and made._foundation.pipe.vae.dtype == torch.bfloat16
    assert all(each.dtype == torch.float32 for each in made.parameters())
    drawn = made(pictures())
    fresh = tiny(tune=tune, precision="bfloat16")
    fresh.load_state_dict(made.state_dict())
    assert torch.equal(fresh(pictures()), drawn)


def test_what_needs_no_tuning_costs_nothing(tiny: Tiny) -> None:
    made = tiny()
    assert not made.learned and made.cost(theirs(), theirs(), 0.0) == {}


def test_an_untuned_one_is_kept_as_nothing_but_its_settings(
    folder: Callable[[str], str], domains: Callable[..., tuple[Domain, Domain]], tmp_path: Path
) -> None:
    bridge = {"name": "diffusion", "model": folder("stable"), "prompt": "x", "side": 0, "device": "cpu"}
    method = config.component("method", {"name": "translation", "bridge": bridge})
    made = method.build(*domains(), 0)
    assert not any(True for _ in made.batches(0))
    parts.save(tmp_path, made.part, domains()[1])
    images = pictures()
    assert torch.equal(parts.load(tmp_path, method).eval()(images), made.part.eval()(images))


def test_translation_tunes_it_keeps_little_and_resumes_bit_for_bit(
    folder: Callable[[str], str], domains: Callable[..., tuple[Domain, Domain]], tmp_path: Path
) -> None:
    bridge = {"name": "diffusion", "model": folder("stable"), "prompt": "x", "side": 0, "tune": "lora", "rank": 2}
    method = config.component("method", {"name": "translation", "batch": 2, "bridge": bridge})
    source, target = domains()
    method.rehearse(source, target, None)

    def run(place: Path, steps: int, start: Any = None) -> Any:
        torch.manual_seed(0)
        made = method.build(source, target, 0, start)
        train(made, Training(steps=4, save_every=2, log_every=1, accelerator="cpu", checks=0), 0, place)
        return made.part

    whole = run(tmp_path / "whole", 4)
    parts.save(tmp_path / "whole", whole, target)
    assert (tmp_path / "whole" / "part.safetensors").stat().st_size < 100_000
    other = parts.load(tmp_path / "whole", method)
    images = pictures()
    assert torch.equal(other.eval()(images), whole.eval()(images))
    one, two = (run(tmp_path / name, 4, other).state_dict() for name in ("one", "two"))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], each) for name, each in whole.state_dict().items()), "it went on"
