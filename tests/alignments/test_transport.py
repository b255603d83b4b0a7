"""The transport loss: against geomloss, its gradient, its labels, its extremes, and what it says of itself."""

import math

import geomloss
import pytest
import torch
from torch import Tensor

from causeway import progress
from causeway.alignments.transport import Config
from causeway.data import Joint
from causeway.errors import ConfigError


def joint(z: Tensor, x: Tensor | None = None) -> Joint:
    return Joint(z, z.new_zeros(len(z), 1) if x is None else x)


def test_a_paired_plan_needs_pairs() -> None:
    z = torch.randn(4, 3)
    with pytest.raises(ConfigError, match="as many source as target moments, not 4 and 3"):
        Config(plan="paired").build(3, 1)(joint(z), joint(z[:3]), 0.0)
    with pytest.raises(ConfigError, match="nothing to unroll"):
        Config(plan="paired", gradient="unrolled").build(3, 1)


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("plan", ["full", "paired"])
def test_the_loss_has_the_gradient_of_its_optimum_whoever_may_be_matched(plan: str, relative: bool) -> None:
    draw = torch.Generator().manual_seed(3)
    z = [torch.randn(5, 2, generator=draw, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    x = [torch.randn(5, 1, generator=draw, dtype=torch.float64) for _ in range(2)]
    settings = {"plan": plan, "relaxed": "source", "relative": relative, "blur": 0.3, "tolerance": 1e-12}
    align = Config(**settings, iterations=5000).build(2, 1)  # type: ignore[arg-type]
    assert torch.autograd.gradcheck(
        lambda s, t: align(Joint(s, x[0]), Joint(t, x[1]), 0.0), z, eps=1e-5, atol=1e-6, rtol=1e-4
    )


def test_an_unrolled_gradient_meets_the_held_one_as_sweeps_converge() -> None:
    draw = torch.Generator().manual_seed(4)
    z = [torch.randn(9, 3, generator=draw, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    x = [torch.randn(9, 1, generator=draw, dtype=torch.float64) for _ in range(2)]

    def gradients(**settings: object) -> Tensor:
        loss = Config(**settings).build(3, 1)(Joint(z[0], x[0]), Joint(z[1], x[1]), 0.0)  # type: ignore[arg-type]
        return torch.cat(torch.autograd.grad(loss, z))

    held = gradients(iterations=5000, tolerance=1e-12)
    gaps = [(gradients(gradient="unrolled", iterations=n) - held).norm() / held.norm() for n in (1, 5, 20, 1000)]
    assert gaps[0] > 0.01 and gaps[3] < 1e-6 and gaps == sorted(gaps, reverse=True)


def test_relaxed_names_the_side_that_may_stay_unmatched() -> None:
    reaches = {side: Config(reach=2.0, relaxed=side).reaches for side in ("both", "source", "target")}  # type: ignore[arg-type]
    assert reaches == {"both": (2.0, 2.0), "source": (2.0, math.inf), "target": (math.inf, 2.0)}


def test_pairs_agree_in_the_label_that_is_chosen() -> None:
    z = torch.zeros(2, 2)
    actions = torch.tensor([[[0.0], [9.0]], [[4.0], [1.0]]])  # first actions 0 and 4, and chunks that differ more
    state = torch.tensor([[4.0], [0.0]])
    own, other = Joint(z, actions, state), Joint(z, actions.flip(0), state)
    for label, partners in (("action", [1, 0]), ("actions", [1, 0]), ("state", [0, 1])):
        align = Config(label=label, relative=False).build(2, 2)  # type: ignore[arg-type]
        align(own, other, 0.0)
        assert align.plan is not None and align.plan.argmax(1).tolist() == partners
    first = Config(label="action", relative=False, blur=1.0, reach=math.inf).build(2, 2)
    first(Joint(z, actions), Joint(z, actions * torch.tensor([[1.0], [50.0]])), 0.0)
    assert first.plan is not None and first.plan.argmax(1).tolist() == [0, 1], "what follows is not compared"
    with pytest.raises(ConfigError, match="there are none: set label = 'actions', or record a state"):
        Config(label="state").build(2, 2)(Joint(z, actions), Joint(z, actions), 0.0)


@pytest.mark.parametrize("reach", [0.5, math.inf])
def test_the_loss_is_that_of_geomloss(reach: float) -> None:
    draw = torch.Generator().manual_seed(1)
    s, t = torch.randn(20, 4, generator=draw).double(), torch.randn(15, 4, generator=draw).double() + 1
    oracle = geomloss.SamplesLoss(
        "sinkhorn",
        p=2,
        blur=math.sqrt(0.3),
        reach=None if reach == math.inf else math.sqrt(reach),
        scaling=0.995,
        debias=False,
        backend="tensorized",
    )(s * math.sqrt(2), t * math.sqrt(2))
    align = Config(relative=False, action_weight=0, blur=0.3, reach=reach, tolerance=1e-9).build(4, 1)
    torch.testing.assert_close(align(joint(s), joint(t), 0.0), oracle, rtol=1e-3, atol=0)


FORMS = {
    "unbalanced": {},
    "source": {"relaxed": "source"},
    "target": {"relaxed": "target"},
    "paired": {"plan": "paired"},
    "paired source": {"plan": "paired", "relaxed": "source"},
    "unrolled": {"gradient": "unrolled"},
    "unrolled source": {"gradient": "unrolled", "relaxed": "source"},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("blur", [1e-3, 0.1, 10.0])
@pytest.mark.parametrize("reach", [1e-3, 1.0, 10.0, math.inf])
def test_it_stays_finite_in_float32_with_the_gradient_of_float64(
    form: str, scale: float, blur: float, reach: float
) -> None:
    draw = torch.Generator().manual_seed(0)
    clouds = [torch.randn(n, 4, generator=draw) * math.sqrt(scale / 8) for n in (11, 11 if "paired" in form else 7)]
    settings = {"iterations": 60} | FORMS[form]
    config = Config(relative=False, action_weight=0, blur=blur, reach=reach, **settings)  # type: ignore[arg-type]
    found = {}
    for kind in (torch.float32, torch.float64):
        z = [cloud.to(kind).requires_grad_() for cloud in clouds]
        align = config.build(4, 1)
        loss = align(joint(z[0]), joint(z[1]), 0.0)
        found[kind] = torch.cat(torch.autograd.grad(loss, z))
        assert loss.dtype == kind and loss.isfinite() and found[kind].isfinite().all()
        assert all(math.isfinite(value) for value in align.notes().values())
        assert align.notes()["transported_mass"] <= 1 + 1e-2
        if "unrolled" not in form:  # whose few sweeps may end anywhere
            assert loss.item() <= (sum(config.reaches) + blur) * (1 + 1e-4), "the objective of moving nothing"
    rough, exact = found.values()
    assert (rough - exact).norm() <= 1e-2 * exact.norm() + 1e-6 * math.sqrt(scale)


@pytest.mark.parametrize("form", ["unbalanced", "paired", "unrolled"])
def test_nothing_in_common_is_left_unmatched_and_said_once(
    form: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SAID", set())
    torch.manual_seed(0)
    s, t = torch.randn(4, 3, requires_grad=True), torch.randn(4, 3) + 1e4
    settings = {"blur": 0.05, "reach": 0.5, **FORMS[form]}
    align = Config(relative=False, action_weight=0, **settings).build(3, 1)  # type: ignore[arg-type]
    for _ in range(2):
        loss = align(joint(s), joint(t), 0.0)
    loss.backward()
    assert loss.item() == pytest.approx(1.05)
    assert s.grad is not None and s.grad.abs().max() < 1e-20
    nothing = {"transported_mass": 0.0, "plan_entropy": 0.0, "unmatched_source": 1.0, "spread": 1.0}
    assert align.notes() == pytest.approx(nothing)
    said = capsys.readouterr().err
    assert said.startswith("transport leaves all of a batch unmatched: every pair costs more than reach = 0.5 allows")
    assert said.count("\n") == 1
    align(joint(s), joint(s.detach()), 0.0)
    for relaxed in ("source", "target", "both"):
        reach = math.inf if relaxed == "both" else 0.5
        balanced = Config(relative=False, blur=0.05, reach=reach, relaxed=relaxed).build(3, 1)  # type: ignore[arg-type]
        assert balanced(joint(s), joint(t), 0.0).isfinite()
        assert balanced.notes()["transported_mass"] == pytest.approx(1.0, abs=1e-3), "a side whole"
    assert capsys.readouterr().err == ""


def test_broken_features_give_a_broken_loss_and_no_endless_loop() -> None:
    for bad in (math.nan, math.inf):
        z = torch.randn(4, 3)
        z[0, 0] = bad
        assert not Config(relative=False).build(3, 1)(joint(z), joint(torch.randn(5, 3)), 0.0).isfinite()


@pytest.mark.parametrize("reach", [0.4, math.inf])
def test_the_gradient_is_that_of_the_optimum(reach: float) -> None:
    draw = torch.Generator().manual_seed(3)
    x = torch.randn(5, 2, generator=draw).double(), torch.randn(7, 2, generator=draw).double()
    z = [torch.randn(n, 3, generator=draw).double().requires_grad_() for n in (5, 7)]
    align = Config(0.7, 0.3, relative=False, blur=0.3, reach=reach, iterations=5000, tolerance=1e-13).build(3, 2)
    assert torch.autograd.gradcheck(
        lambda s, t: align(Joint(s, x[0]), Joint(t, x[1]), 0.0), z, eps=1e-5, atol=1e-6, rtol=1e-4
    )


def test_the_cost_weighs_features_and_actions_and_labels_get_no_gradient() -> None:
    draw = torch.Generator().manual_seed(4)
    z = torch.randn(2, 1, 3, generator=draw).double()
    x = torch.randn(2, 1, 2, generator=draw).double().requires_grad_()
    align = Config(0.7, 0.3, relative=False, blur=0.1, reach=1.0, tolerance=1e-12).build(3, 2)
    loss = align(Joint(z[0].requires_grad_(), x[0]), Joint(z[1], x[1]), 0.0)
    cost = 0.7 * (z[0] - z[1]).square().sum() + 0.3 * (x[0] - x[1]).square().sum()
    assert loss.item() == pytest.approx(2.1 * (1 - math.exp(-cost.item() / 2.1)), rel=1e-6)
    loss.backward()
    assert x.grad is None


def test_relative_costs_forget_units() -> None:
    draw = torch.Generator().manual_seed(5)
    s, t, x, y = (torch.randn(8, 3, generator=draw).double() for _ in range(4))
    align = Config(tolerance=1e-9).build(3, 3)
    once = align(Joint(s, x), Joint(t, y), 0.0)
    torch.testing.assert_close(align(Joint(100 * s, 0.01 * x), Joint(100 * t, 0.01 * y), 0.0), once)


def test_a_cloud_that_is_one_point_but_for_rounding_is_not_blown_up() -> None:
    draw = torch.Generator().manual_seed(7)
    s, t = (3 + 1e-6 * torch.randn(8, 16, generator=draw) for _ in range(2))
    loss = Config().build(16, 1)(joint(s.requires_grad_()), joint(t), 0.0)
    loss.backward()
    assert s.grad is not None and s.grad.abs().max() < 1


def test_actions_decide_which_features_are_paired() -> None:
    z, x = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [1.0]])
    crossed = Config(1.0, 50.0, relative=False, blur=0.05).build(1, 1)
    crossed(Joint(z, x), Joint(z, x.flip(0)), 0.0)
    assert crossed.plan is not None and crossed.plan.trace() < 0.01 < 0.5 < crossed.plan.sum()


def test_order_does_not_matter_and_distances_survive_a_far_origin() -> None:
    draw = torch.Generator().manual_seed(6)
    s, t, x, y = (torch.randn(9, 4, generator=draw) for _ in range(4))
    align, order = Config(tolerance=1e-7, iterations=1000).build(4, 4), torch.randperm(9, generator=draw)
    once = align(Joint(s, x), Joint(t, y), 0.0)
    torch.testing.assert_close(align(Joint(s[order], x[order]), Joint(t, y), 0.0), once)
    torch.testing.assert_close(align(Joint(s + 300, x), Joint(t + 300, y), 0.0), once, rtol=1e-3, atol=0)


def test_autocast_costs_no_digits() -> None:
    s, t = (torch.randn(8, 16, requires_grad=True) for _ in range(2))
    align, results = Config().build(16, 1), []
    for on in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=on):
            loss = align(joint(s), joint(t), 0.0)
        results.append((loss, *torch.autograd.grad(loss, [s, t])))
    for plain, cast in zip(*results):
        assert torch.equal(plain, cast)


def test_half_features_get_a_half_gradient_of_a_float_loss() -> None:
    s, t = (torch.randn(8, 16, dtype=torch.bfloat16, requires_grad=True) for _ in range(2))
    loss = Config().build(16, 1)(joint(s), joint(t), 0.0)
    loss.backward()
    assert loss.dtype == torch.float32
    assert s.grad is not None and s.grad.dtype == torch.bfloat16 and s.grad.abs().sum() > 0


def test_notes_tell_what_was_matched() -> None:
    s = torch.tensor([[0.0], [0.1], [30.0], [60.0]])
    align = Config(relative=False, blur=0.01, reach=0.5).build(1, 1)
    assert align.notes() == {}
    align(joint(s), joint(s[:2]), 0.0)
    notes = align.notes()
    plan = align.plan
    assert plan is not None and plan[2:].sum() < 1e-6
    assert notes["transported_mass"] == pytest.approx(plan.sum().item())
    assert 0.4 < notes["unmatched_source"] < 0.6
    share = 1 / (1 + math.exp(-1))  # of the nearer of two partners, the other being one blur farther
    entropy = -share * math.log(share) - (1 - share) * math.log(1 - share)
    assert notes["spread"] == pytest.approx(math.exp(entropy), rel=1e-3)
    assert notes["plan_entropy"] == pytest.approx(math.log(2) + entropy, rel=1e-3), "of two moments, and of partners"


def test_notes_by_hand() -> None:
    align = Config().build(1, 1)
    align.plan = torch.tensor([[0.125, 0.125], [0.25, 0.0], [0.0, 0.0]])  # of three moments, two sent 1/4 each
    assert align.notes() == pytest.approx(
        {
            "transported_mass": 0.5,
            "plan_entropy": 1.5 * math.log(2),  # of the shares 1/4, 1/4 and 1/2
            "unmatched_source": 0.5,  # 1/3 - 1/4 twice, and 1/3
            "spread": math.sqrt(2),  # one moment has two partners, one has one: 2^(1/2) 1^(1/2)
        }
    )


@pytest.mark.parametrize("wrong", [{"blur": 0.0}, {"blur": math.inf}, {"reach": 0.0}, {"iterations": 0}])
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="transport needs"):
        Config(**wrong).build(3, 1)  # type: ignore[arg-type]


def test_a_relative_cost_has_the_gradient_of_its_mean_too() -> None:
    """Against autograd through the definition, plan held; and no gain from shrinking both clouds."""
    torch.manual_seed(0)
    zs = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    zt = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    x, y = torch.randn(6, 1, dtype=torch.float64), torch.randn(4, 1, dtype=torch.float64)
    align = Config(0.7, 0.3, blur=0.1, reach=1.0, tolerance=1e-12).build(3, 1)
    loss = align(Joint(zs, x), Joint(zt, y), 0.0)
    found = torch.autograd.grad(loss, (zs, zt))
    distance = (zs[:, None] - zt).square().sum(2)
    cost = 0.7 * distance / distance.mean()
    assert align.plan is not None
    wanted = torch.autograd.grad((align.plan * cost).sum(), (zs, zt))
    assert all(torch.allclose(a, b, atol=1e-10) for a, b in zip(found, wanted))
    middle = (zs.mean(0) + zt.mean(0)).detach() / 2
    shrinking = ((zs - middle) * found[0]).sum().detach() + ((zt - middle) * found[1]).sum().detach()
    assert abs(float(shrinking)) < 1e-9
