"""What imitation learns from whom, and in which shares."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from causeway import config
from causeway.data import Domain
from causeway.errors import ConfigError
from causeway.features import embedded
from causeway.methods._streams import shares, suggested_weight

Make = Callable[..., tuple[Domain, Domain]]


def build(source: Domain, target: Domain, **settings: object) -> object:
    made = config.component("method", {"name": "imitation", "batch": 40, **settings}).build(source, target, seed=0)
    made.prepare()
    return made


def test_shares_by_hand() -> None:
    assert shares(0.5, 0.0, labelled=10, guessed=0) == {"source": 0.5, "target": 0.5, "guessed": 0.0}
    assert shares(0.5, 0.0, labelled=0, guessed=0) == {"source": 1.0, "target": 0.0, "guessed": 0.0}
    assert shares(0.8, 0.5, labelled=10, guessed=9)["guessed"] == pytest.approx(0.4)
    assert shares(0.8, 0.5, labelled=0, guessed=9) == pytest.approx({"source": 0.2, "target": 0.0, "guessed": 0.8})


def test_what_cannot_be_imitated_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"set target.labeller"):
        shares(0.5, 0.5, labelled=10, guessed=0)
    with pytest.raises(ConfigError, match=r"target.limit leaves no labelled moment"):
        shares(1.0, 0.0, labelled=0, guessed=0)


def test_the_suggested_weight_is_the_published_interval() -> None:
    assert suggested_weight(25, 1500) == pytest.approx((0.0164, 0.1291), abs=1e-4)
    assert suggested_weight(100, 25) == (0.8, 1.0), "a share is at most all"


def test_a_batch_holds_at_least_one_target_moment(domains: Make) -> None:
    method = build(*domains(limit=1), target_weight=0.001)
    sizes = {stream.name: stream.size for stream in method.streams}  # type: ignore[attr-defined]
    assert sizes == {"source": 39, "target": 1}


def test_batch_k_depends_on_seed_rank_and_k_alone(domains: Make) -> None:
    method, same = build(*domains()), build(*domains())
    through = method.batches(0)  # type: ignore[attr-defined]
    later = [next(through) for _ in range(5)][4]
    resumed = next(same.batches(4))  # type: ignore[attr-defined]
    assert all(torch.equal(a.images, b.images) and torch.equal(a.state, b.state) for a, b in zip(later, resumed))
    for other in (next(same.batches(5)), setattr(same, "rank", 1) or next(same.batches(4))):  # type: ignore[attr-defined]
        assert not any(torch.equal(a.images, b.images) for a, b in zip(later, other))


@pytest.mark.parametrize("label", [False, True])
def test_terms_are_weighted_and_sum_to_the_loss(domains: Make, label: bool) -> None:
    torch.manual_seed(0)
    method = build(*domains(), target_weight=0.25, domain_label=label, alignment={"name": "coral"})
    cost = method.cost(next(method.batches(0)), 0.0)  # type: ignore[attr-defined]
    assert set(cost.terms) == {"imitation/source", "imitation/target", "alignment"}
    half = build(*domains(), target_weight=0.25, domain_label=label, alignment={"name": "coral"}, alignment_weight=0.05)
    half.load_state_dict(method.state_dict())  # type: ignore[attr-defined]
    torch.manual_seed(1)
    one = method.cost(next(method.batches(0)), 0.0).terms["alignment"]  # type: ignore[attr-defined]
    torch.manual_seed(1)
    other = half.cost(next(half.batches(0)), 0.0).terms["alignment"]  # type: ignore[attr-defined]
    assert one.item() == pytest.approx(2 * other.item(), rel=1e-4)


def test_hidden_actions_are_not_used(domains: Make) -> None:
    """With no target labels, changing the actions behind the curtain changes nothing."""
    source, target = domains(limit=0)

    def loss(of: Domain) -> float:
        torch.manual_seed(0)
        method = build(source, of, alignment={"name": "transport"})
        return sum(t.item() for t in method.cost(next(method.batches(0)), 0.5).terms.values())  # type: ignore[attr-defined]

    other = replace(target, tune=target.tune.select(np.arange(3)), test=target.test.select(np.arange(0)))
    assert loss(target) == loss(other)
    assert target.unlabelled.actions is None


def test_a_run_starts_from_anothers_part(domains: Make) -> None:
    first = build(*domains())
    second = build_from(first.part, *domains())  # type: ignore[attr-defined]
    assert all(torch.equal(a, b) for a, b in zip(first.part.state_dict().values(), second.part.state_dict().values()))  # type: ignore[attr-defined]


def build_from(part: torch.nn.Module, source: Domain, target: Domain) -> object:
    return config.component("method", {"name": "imitation"}).build(source, target, seed=1, start=part)


def test_the_domain_label_is_the_target_once_deployed(domains: Make) -> None:
    method = build(*domains(), domain_label=True)
    policy = method.part.eval()  # type: ignore[attr-defined]
    batch = domains()[1].test.take(np.arange(4))
    policy.side = torch.ones(4)
    told = policy.act(batch.images, batch.state)
    policy.side = torch.zeros(4)
    other = policy.act(batch.images, batch.state)
    policy.side = None
    assert torch.equal(policy.act(batch.images, batch.state), told) and not torch.equal(told, other)


def test_a_mirrored_batch_steers_the_other_way(domains: Make) -> None:
    source, target = domains()
    method = build(source, target, augment={"mirror": ["steering"]})
    batch = source.labelled.take(np.arange(5))
    turned = method.augmentation.mirror(batch, torch.ones(5, dtype=torch.bool))  # type: ignore[attr-defined]
    assert torch.equal(turned.images, batch.images.flip(-1))
    assert torch.equal(turned.actions[..., 0], -batch.actions[..., 0])  # type: ignore[index]
    assert torch.equal(turned.actions[..., 1], batch.actions[..., 1])  # type: ignore[index]
    same = method.augmentation.mirror(batch, torch.zeros(5, dtype=torch.bool))  # type: ignore[attr-defined]
    assert torch.equal(same.images, batch.images) and torch.equal(same.actions, batch.actions)  # type: ignore[arg-type]


def test_an_unknown_name_cannot_be_mirrored(domains: Make) -> None:
    with pytest.raises(ConfigError, match=r"no state or action 'stering'. Did you mean 'steering'\?"):
        build(*domains(), augment={"mirror": ["stering"]})


def test_an_alignment_sees_the_source_even_where_it_is_not_imitated(domains: Make) -> None:
    method = build(*domains(), target_weight=1.0, alignment={"name": "coral"})
    cost = method.cost(next(method.batches(0)), 0.5)  # type: ignore[attr-defined]
    assert set(cost.terms) == {"imitation/target", "alignment"} and cost.terms["alignment"].item() > 0


def test_the_source_is_checked_as_the_source(domains: Make) -> None:
    source, target = domains()
    method = build(source, target, domain_label=True)
    method.eval()  # type: ignore[attr-defined]
    found, tune = method.check(), source.tune.take()  # type: ignore[attr-defined]
    policy = method.part  # type: ignore[attr-defined]
    policy.side = torch.zeros(len(tune))
    assert tune.actions is not None
    error = (policy.act(tune.images, tune.state) - tune.actions)[:, 0].abs().mean().item()
    assert found["tune/source"] == pytest.approx(error, rel=1e-5)


def test_frozen_copies_are_the_same_whichever_arm_made_them(domains: Make) -> None:
    """A check, in evaluation, must not leave pictures behind that nobody changed."""
    source, target = domains()
    eyes = {"name": "squeezenet", "weights": "random", "layer": 3, "rows": 2, "columns": 2}
    settings = {"policy": eyes, "augment": {"brightness": 0.5}, "bridge": {"name": "noise"}, "copies": 3}
    torch.manual_seed(0)
    alone = build(source, target, target_weight=0.0, **settings)
    alone.eval()  # type: ignore[attr-defined]
    alone.check()  # type: ignore[attr-defined]
    torch.manual_seed(0)
    both = build(source, target, **settings)
    values = both.streams[1].features.values  # type: ignore[attr-defined]
    assert both.streams[1].name == "target" and not np.array_equal(values[0], values[2])  # type: ignore[attr-defined]
    both.eval()  # type: ignore[attr-defined]
    anew = target.cache.parent / "anew"
    again = embedded(both.policy, target.tune, both.augmentation, both.bridge, 3, anew)  # type: ignore[attr-defined]
    assert not np.array_equal(again.values[0], again.values[2]) and not both.augmentation.training  # type: ignore[attr-defined]


def pairs_of(source: Domain, target: Domain, folder: Path) -> str:
    """A file of pairs where each moment of a target episode goes with the same step of a source episode."""
    steps = pa.array([list(range(20))] * 9)
    names = [f"e{i}" for i in range(3)]
    columns = {"source": np.repeat(names, 3), "target": names * 3, "distance": [0.0] * 9}
    pq.write_table(pa.table({**columns, "source_step": steps, "target_step": steps}), folder / "pairs.parquet")
    return str(folder / "pairs.parquet")


@pytest.fixture
def named(domains: Make) -> tuple[Domain, Domain]:
    """A source and a target whose episodes are called e0, e1 and e2."""
    sides = []
    for side in domains(limit=30):
        parts = ("labelled", "unlabelled", "guessed", "tune")
        named = {part: replace(getattr(side, part), episode_names=("e0", "e1", "e2")) for part in parts}
        sides.append(replace(side, **named))
    return sides[0], sides[1]


def test_pairs_are_aligned_beside_what_is_imitated(named: tuple[Domain, Domain], tmp_path: Path) -> None:
    pairs = {"file": pairs_of(*named, tmp_path), "share": 0.25, "window": 0, "batch": 24}
    transport = {"name": "transport", "plan": "paired"}
    method = build(*named, target_weight=0.2, pairs=pairs, alignment=transport)
    streams = [(s.name, s.size, s.weight, s.side, s.aligned) for s in method.streams]  # type: ignore[attr-defined]
    assert streams == [
        ("source", 24, pytest.approx(0.6), 0.0, False),
        ("paired source", 8, pytest.approx(0.2), 0.0, False),
        ("target", 8, 0.2, 1.0, False),
        ("source pairs", 24, 0.0, 0.0, True),
        ("target pairs", 24, 0.0, 1.0, True),
    ]
    batch = next(method.batches(0))  # type: ignore[attr-defined]
    places = [
        [int(np.flatnonzero((s.moments.state == row.numpy()).all(1))[0]) for row in part.state]  # type: ignore
        for s, part in zip(method.streams[3:], batch[3:])
    ]  # type: ignore[attr-defined]
    assert [frame % 20 for frame in places[0]] == [frame % 20 for frame in places[1]], "the same step, of any episode"
    assert len(set(places[0])) > 10
    cost = method.cost(batch, 0.5)  # type: ignore[attr-defined]
    assert set(cost.terms) == {"imitation/source", "imitation/paired source", "imitation/target", "alignment"}
    assert cost.notes["transported_mass"] <= 1


def test_both_halves_of_a_pair_are_mirrored_or_neither(named: tuple[Domain, Domain], tmp_path: Path) -> None:
    pairs = {"file": pairs_of(*named, tmp_path)}
    method = build(*named, pairs=pairs, alignment={"name": "coral"}, augment={"mirror": ["steering"]})
    batch = next(method.batches(0))  # type: ignore[attr-defined]
    method.cost(batch, 0.5)  # type: ignore[attr-defined]
    turned = {
        s.name: (before.images != after.images).flatten(1).any(1)
        for s, before, after in zip(method.streams, batch, method._turned)  # type: ignore[attr-defined]
    }
    assert torch.equal(turned["source pairs"], turned["target pairs"]) and 40 < turned["source pairs"].sum() < 88
    assert not torch.equal(turned["paired source"], turned["target"][: len(turned["paired source"])])


@pytest.mark.parametrize(("batch", "sizes"), [(200, (90, 90, 20)), (128, (57, 58, 13))])
def test_the_published_mixture(
    batch: int, sizes: tuple[int, ...], named: tuple[Domain, Domain], tmp_path: Path
) -> None:
    """Cheng et al. 2025: .45 paired source, .45 unpaired source, .10 target, as weights and as shares of a batch."""
    pairs = {"file": pairs_of(*named, tmp_path), "share": 0.5}
    method = build(*named, batch=batch, target_weight=0.1, pairs=pairs, alignment={"name": "transport"})
    mixed = {s.name: (s.size, pytest.approx(s.weight)) for s in method.streams if s.weight}  # type: ignore[attr-defined]
    assert mixed == dict(zip(("source", "paired source", "target"), zip(sizes, (0.45, 0.45, 0.1))))
    cost = method.cost(next(method.batches(0)), 0.5)  # type: ignore[attr-defined]
    assert {f"imitation/{name}" for name in mixed} | {"alignment"} == set(cost.terms)
    assert [s.size for s in method.streams if s.aligned] == [128, 128]  # type: ignore[attr-defined]


def test_a_paired_plan_without_pairs_is_refused(domains: Make) -> None:
    with pytest.raises(ConfigError, match=r"plan = 'paired' needs moments that go together: set pairs.file"):
        build(*domains(), alignment={"name": "transport", "plan": "paired"})


def test_pairs_that_know_hidden_labels_are_refused(named: tuple[Domain, Domain], tmp_path: Path) -> None:
    file = pairs_of(*named, tmp_path)
    for by, refused in (("steering", True), ("state_0", False)):
        table = pq.read_table(file).replace_schema_metadata({"pairs": json.dumps({"by": [by]})})
        pq.write_table(table, file)
        if refused:
            with pytest.raises(ConfigError, match=r"made by steering, which target.limit hides"):
                build(*named, pairs={"file": file})
    build(*named, pairs={"file": file})
    pq.write_table(pq.read_table(file).replace_schema_metadata({"pairs": json.dumps({"by": ["steering"]})}), file)
    source, target = named
    build(source, replace(target, labelled=replace(target.labelled, rows=target.unlabelled.rows)), pairs={"file": file})


def test_pairs_may_be_imitated_without_any_alignment(named: tuple[Domain, Domain], tmp_path: Path) -> None:
    method = build(*named, pairs={"file": pairs_of(*named, tmp_path), "share": 1.0})
    assert [s.name for s in method.streams] == ["paired source", "target"]  # type: ignore[attr-defined]
