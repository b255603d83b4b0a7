"""Several ranks (CI runs this file): processes that each add a batch of their own to a step."""

import json
import os
import signal
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import distributed

from causeway import run, running
from causeway.alignments import gathered
from causeway.train import RANK, learning_rate
from test_endings import alive, children, started
from test_run import EXPERIMENT, file, one, recordings, until, written  # noqa: F401

RANKS = "train.devices=2"
pytestmark = pytest.mark.slow


def test_a_step_of_two_ranks_follows_the_mean_of_their_gradients(file: Path, tmp_path: Path, recordings: Path) -> None:  # noqa: F811
    made = one(
        file,
        tmp_path / "two",
        recordings,
        RANKS,
        "train.steps=1",
        "train.clip=0",
        "train.averaging=0.75",
        "method.augment.brightness=0.5",
    )
    running.work(made)
    settings, source, target = made.experiment.train, *running.domains(made)
    torch.manual_seed(0)
    method = made.experiment.method.build(source, target, 0, None)
    optimizer = torch.optim.AdamW(
        method.parameters(), lr=learning_rate(settings, 0), weight_decay=settings.weight_decay
    )
    method.prepare()
    for rank in (0, 1):
        method.rank = rank
        torch.manual_seed(rank * RANK)
        (sum(method.cost(next(method.batches(0)), progress=0.0).terms.values()) / 2).backward()
    optimizer.step()
    found, wanted = load_file(tmp_path / "two" / "part.safetensors"), method.part.state_dict()
    assert all(torch.allclose(found[name], wanted[name], atol=1e-6) for name in wanted)
    assert made.tested


def _gather(rank: int, folder: str) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    own = torch.tensor([[1.0 + rank], [3.0 + rank]], requires_grad=True)
    every = gathered(own)
    assert every.tolist() == [[1.0], [3.0], [2.0], [4.0]]
    (every.square() * torch.tensor([[1.0], [10.0], [100.0], [1000.0]])).sum().backward()
    weight = torch.tensor([[1.0], [10.0]]) * 100**rank
    assert own.grad is not None and torch.equal(own.grad, 2 * 2 * own.detach() * weight), "of the loss of both ranks"
    distributed.destroy_process_group()


def test_what_is_aligned_is_gathered_from_all_ranks(tmp_path: Path) -> None:
    """Each rank's gradient is that of two equal losses: their mean over ranks, which training takes, is that of one."""
    torch.multiprocessing.spawn(_gather, (str(tmp_path),), nprocs=2)
    alone = torch.ones(2, 1)
    assert gathered(alone) is alone


def test_ranks_draw_at_random_apart() -> None:
    drawn = [torch.rand(1, generator=torch.Generator().manual_seed(5 + rank * RANK)).item() for rank in range(4)]
    assert len(set(drawn)) == 4


def test_two_ranks_stop_together(file: Path, tmp_path: Path, recordings: Path) -> None:  # noqa: F811
    log = tmp_path / "two" / "log.jsonl"
    with started(command(file, tmp_path, recordings)) as process:
        until(partial(written, log, 20))
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "and saved. The same command goes on from there" in said, said
    before = torch.load(tmp_path / "two" / "last.pt", weights_only=True)["step"]
    assert 20 <= before < 30000
    assert max(json.loads(line)["step"] for line in log.read_text().splitlines()) <= before


@pytest.mark.parametrize("moment", ["at first", "at work"])
def test_a_killed_run_leaves_no_rank_behind(moment: str, file: Path, tmp_path: Path, recordings: Path) -> None:  # noqa: F811
    with started(command(file, tmp_path, recordings)) as process:
        until(lambda: bool(children(process.pid)))
        if moment == "at work":
            until(partial(written, tmp_path / "two" / "log.jsonl", 20))
        ranks = [pid for child in children(process.pid) for pid in (child, *children(child))]
    assert len(ranks) == (2 if moment == "at work" else 1)
    until(lambda: not any(alive(pid) for pid in ranks))


def command(file: Path, folder: Path, recordings: Path) -> list[str]:  # noqa: F811
    file.write_text(EXPERIMENT.split("[arms")[0].replace("seeds = [0]\n", "").replace("steps = 12", "steps = 30000"))
    command = [sys.executable, "-m", "causeway", "train", str(file), RANKS, "--data", str(recordings)]
    return [*command, "--folder", str(folder / "two"), "--cache", str(folder / "cache")]


def test_a_rank_that_fails_ends_the_run(file: Path, tmp_path: Path, recordings: Path) -> None:  # noqa: F811
    made = one(file, tmp_path / "two", recordings, RANKS, "train.learning_rate=1e30")
    with pytest.raises(run.ConfigError, match="what it said stands above"):
        running.work(made)
    assert not made.trained
