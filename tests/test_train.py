"""The training loop on a method of two weights, whose every step can be worked out by hand."""

import json
import math
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from causeway import train as module
from causeway.average import Average
from causeway.errors import ConfigError, Interrupted
from causeway.methods import Cost, Method
from causeway.train import Training, learning_rate, train


class Plain(Method):
    """Two weights from (1, 2) whose cost is ``price``; it notes what it sees of the loop."""

    def __init__(self, price: Callable[[torch.Tensor], torch.Tensor] = torch.sum, on_step: Any = None):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
        self.price, self.on_step = price, on_step
        self.weights: list[list[float]] = []
        self.gradients: list[float] = []
        self.drawn: list[float] = []
        self.progress: list[float] = []
        self.modes: list[tuple[str, bool]] = []

    def batches(self, start: int) -> Iterator[torch.Tensor]:
        while True:
            yield torch.tensor(start)
            start += 1

    def cost(self, batch: torch.Tensor, progress: float) -> Cost:
        if self.weight.grad is not None:  # of the step before
            self.gradients.append(float(self.weight.grad.norm()))
        self.weights.append(self.weight.tolist())
        self.drawn.append(float(torch.rand(1)))
        self.progress.append(progress)
        self.modes.append(("cost", self.training))
        if self.on_step:
            self.on_step(int(batch))
        return Cost({"price": self.price(self.weight)})

    @property
    def part(self) -> torch.nn.Module:
        return self

    def check(self) -> dict[str, float]:
        self.modes.append(("check", self.training))
        return {"tune/x": 0.0}


def plan(**changes: Any) -> Training:
    return Training(**{"steps": 4, "learning_rate": 0.1, "weight_decay": 0.0, "warmup": 0.0, "checks": 0} | changes)


def trained(folder: Path, seed: int = 0, method: Plain | None = None, **changes: Any) -> Plain:
    made = method or Plain()
    assert train(made, plan(accelerator="cpu", **changes), seed, folder), "the only rank is the first"
    return made


def log(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_the_rate_rises_then_falls_as_half_a_cosine() -> None:
    settings = Training(steps=100, learning_rate=2.0, warmup=0.1)
    cosine = [0.5 * (1 + math.cos(math.pi * step / 100)) for step in range(100)]
    assert learning_rate(settings, 0) == pytest.approx(2 * 0.1)
    assert learning_rate(settings, 4) == pytest.approx(2 * 0.5 * cosine[4])
    assert learning_rate(settings, 50) == pytest.approx(1.0) and learning_rate(settings, 99) == pytest.approx(
        2 * cosine[99]
    )
    assert learning_rate(Training(steps=100, learning_rate=2.0, warmup=0.0), 0) == 2.0


def test_each_step_moves_the_weights_by_the_scheduled_rate(tmp_path: Path) -> None:
    made = Plain()
    made.rank = 7
    trained(tmp_path, method=made)  # under a constant gradient AdamW's step is the learning rate itself
    moved = [before[0] - after[0] for before, after in zip(made.weights, made.weights[1:])]
    assert moved == pytest.approx([learning_rate(plan(), step) for step in range(3)], rel=1e-4)
    assert made.progress == [0.0, 0.25, 0.5, 0.75] and made.rank == 0, "the only rank is the first"


def test_weights_decay_where_nothing_else_pulls(tmp_path: Path) -> None:
    made = trained(tmp_path, method=Plain(lambda weight: 0 * weight.sum()), weight_decay=0.5)
    assert made.weights[1] == pytest.approx([0.95, 1.9])


def test_gradients_are_clipped_and_forgotten_after_each_step(tmp_path: Path) -> None:
    made = trained(tmp_path / "a", clip=0.5, log_every=1)
    assert made.gradients == pytest.approx([0.5] * 3, rel=1e-4)
    assert [row["norm"] for row in log(tmp_path / "a")] == pytest.approx([math.sqrt(2)] * 4)
    assert trained(tmp_path / "b", clip=0.0).gradients == pytest.approx([math.sqrt(2)] * 3)


def test_what_is_drawn_follows_seed_and_step(tmp_path: Path) -> None:
    torch.manual_seed(5)
    one = trained(tmp_path / "a").drawn
    torch.manual_seed(6)
    assert trained(tmp_path / "b").drawn == one and len(set(one)) == 4
    assert not set(trained(tmp_path / "c", seed=1).drawn) & set(one)


def test_checks_look_at_a_method_in_evaluation(tmp_path: Path) -> None:
    made = trained(tmp_path, checks=2)
    learn, look = ("cost", True), ("check", False)
    assert made.modes == [learn, learn, look, learn, learn, look]
    assert [row["step"] for row in log(tmp_path) if "tune/x" in row] == [2, 4]


def test_the_log_has_the_steps_asked_for_and_the_last(tmp_path: Path) -> None:
    trained(tmp_path, steps=8, log_every=3)
    assert [(row["step"], row["loss"] == row["price"]) for row in log(tmp_path)] == [(0, 1), (3, 1), (6, 1), (7, 1)]


def test_checkpoints_are_written_when_due_and_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    monkeypatch.setattr(module, "save", lambda *state: steps.append(state[-1]))
    trained(tmp_path, steps=10, save_every=4)
    assert steps == [4, 8, 10]


def test_a_finished_folder_is_not_trained_again(tmp_path: Path) -> None:
    first = trained(tmp_path)
    again = trained(tmp_path)
    assert again.weights == [] and torch.equal(again.weight, first.weight)


def test_a_folder_without_a_checkpoint_begins_a_new_log(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"step": 99}\n')
    trained(tmp_path, log_every=1)
    assert [row["step"] for row in log(tmp_path)] == [0, 1, 2, 3]


def test_the_log_forgets_what_is_done_again(tmp_path: Path) -> None:
    rows = ['{"step": 1, "loss": 1}', '{"step": 2, "tune/x": 0}', '{"step": 2, "loss": 1}', '{"step": 3, "tune/x": 0}']
    for cut in ("", '{"step": 4, "lo'):
        (tmp_path / "log.jsonl").write_text("\n".join([*rows, cut]))
        module._forget(tmp_path / "log.jsonl", 2)
        assert (tmp_path / "log.jsonl").read_text().splitlines() == rows[:2]


def press(times: int, at: int) -> Callable[[int], None]:
    def on_step(step: int) -> None:
        for _ in range(times * (step == at)):
            os.kill(os.getpid(), signal.SIGINT)

    return on_step


def test_ctrl_c_finishes_the_step_saves_and_goes_on_from_there(tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match=r"Stopped at step 2 and saved\. The same command goes on from there"):
        trained(tmp_path, method=Plain(on_step=press(1, at=1)), log_every=1)
    with open(tmp_path / "log.jsonl", "a") as file:
        file.write('{"step": 2, "loss": 0}\n')  # of a step that was not saved
    again = trained(tmp_path, log_every=1)
    assert len(again.weights) == 2 and again.drawn == trained(tmp_path / "whole").drawn[2:]
    assert [row["step"] for row in log(tmp_path)] == [0, 1, 2, 3]


def test_ctrl_c_in_the_last_step_is_no_interruption(tmp_path: Path) -> None:
    made = trained(tmp_path, method=Plain(on_step=press(1, at=3)))
    assert len(made.weights) == 4


def test_a_second_ctrl_c_stops_at_once(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt) as caught:
        trained(tmp_path, method=Plain(on_step=press(2, at=1)))
    assert not isinstance(caught.value, Interrupted) and not (tmp_path / "last.pt").exists()
    assert signal.getsignal(signal.SIGINT) is before


def test_it_trains_in_a_thread_that_gets_no_signals(tmp_path: Path) -> None:
    made = Plain()
    thread = threading.Thread(target=trained, args=(tmp_path, 0, made))
    thread.start()
    thread.join()
    assert len(made.weights) == 4 and (tmp_path / "last.pt").exists()


def test_a_gradient_that_is_not_finite_names_its_step(tmp_path: Path) -> None:
    made = Plain(lambda weight: (weight - torch.tensor([1.0, 0.0])).sqrt().sum())
    with pytest.raises(FloatingPointError, match=r"step 0: the gradient is inf; terms: \{'price'"):
        trained(tmp_path, method=made)


def test_no_memory_names_what_to_lower(tmp_path: Path) -> None:
    def full(weight: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    with pytest.raises(ConfigError, match=r"No memory to train: lower method\.batch"):
        trained(tmp_path, method=Plain(full))


class Hungry(Plain):
    """Its batches take all there is."""

    def batches(self, start: int) -> Iterator[torch.Tensor]:
        yield torch.tensor(start)
        raise MemoryError


def test_no_memory_for_a_batch_names_what_to_lower(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"No memory to train: lower method\.batch"):
        trained(tmp_path, method=Hungry())


def test_a_checkpoint_of_another_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        trained(tmp_path, method=Plain(on_step=press(1, at=1)))
    saved = torch.load(tmp_path / "last.pt", weights_only=True)
    torch.save({**saved, "method": {"other": torch.zeros(3)}}, tmp_path / "last.pt")
    with pytest.raises(ConfigError, match=rf"saved by another version.* Remove {tmp_path} to train anew"):
        trained(tmp_path)


def test_the_average_of_three_steps_by_hand(tmp_path: Path) -> None:
    made = Plain()
    found = trained(tmp_path, method=made, steps=3, averaging=0.75).weight.tolist()
    last = torch.load(tmp_path / "last.pt", weights_only=True)["method"]["weight"].tolist()
    one, two, three = (torch.tensor(each) for each in (*made.weights[1:], last))  # after each step
    half = one + 2**-0.75 * (two - one)  # 1 - decay: 1, 0.5946, 0.4387
    assert found == pytest.approx((half + 3**-0.75 * (three - half)).tolist(), rel=1e-6)
    mean = trained(tmp_path / "mean", steps=3, averaging=1.0).weight.tolist()
    assert mean == pytest.approx(((one + two + three) / 3).tolist(), rel=1e-6)
    assert trained(tmp_path / "off", steps=3).weight.tolist() == last and found != last


def test_old_weights_are_forgotten_in_the_end() -> None:
    part = torch.nn.Linear(1, 1)
    average = Average(part, 1.0)
    torch.nn.init.constant_(part.weight, float(average.values[0]) + 1)
    before = float(average.values[0])
    average.follow(10**6)
    assert float(average.values[0]) - before == pytest.approx(1e-4, rel=1e-2)


@pytest.mark.parametrize("averaging", [0.0, 0.75])
def test_a_check_looks_at_the_average_and_learning_goes_on_without_it(tmp_path: Path, averaging: float) -> None:
    class Looking(Plain):
        def check(self) -> dict[str, float]:
            self.looked = [*getattr(self, "looked", []), self.weight.tolist()]
            return {"tune/x": 0.0}

    made = Looking()
    trained(tmp_path / "a", method=made, checks=4, averaging=averaging)
    blind = trained(tmp_path / "b", averaging=averaging)
    assert made.weights == blind.weights and made.looked[-1] == made.weight.tolist() == blind.weight.tolist()
    assert (made.looked[:3] == made.weights[1:]) == (averaging == 0)


def test_a_stopped_average_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole", averaging=0.75)
    with pytest.raises(Interrupted):
        trained(tmp_path / "parts", method=Plain(on_step=press(1, at=1)), averaging=0.75)
    assert torch.equal(trained(tmp_path / "parts", averaging=0.75).weight, whole.weight)
    again = trained(tmp_path / "parts", averaging=0.75)
    assert again.weights == [] and torch.equal(again.weight, whole.weight), "trained, and killed before it was saved"
    saved = torch.load(tmp_path / "parts" / "last.pt", weights_only=True)
    assert torch.equal(saved["average"][0], whole.weight) and not torch.equal(saved["method"]["weight"], whole.weight)


def test_a_method_without_batches_is_saved_as_it_was_prepared(tmp_path: Path) -> None:
    class Solved(Plain):
        def prepare(self) -> None:
            with torch.no_grad():
                self.weight.fill_(7.0)

        def batches(self, start: int) -> Iterator[torch.Tensor]:
            return iter(())

    trained(tmp_path, method=Solved())
    assert torch.load(tmp_path / "last.pt", weights_only=True)["method"]["weight"].tolist() == [7.0, 7.0]


@pytest.mark.parametrize("setting", [{"steps": -1}, {"save_every": 0}, {"log_every": 0}])
def test_a_count_of_nothing_is_refused(setting: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="save_every and log_every of 1 or more, and no negative steps"):
        plan(**setting)


def test_no_steps_leave_what_was_there(tmp_path: Path) -> None:
    class Careful(Plain):
        def prepare(self) -> None:
            raise AssertionError("there is nothing to prepare for")

    method = trained(tmp_path, steps=0, method=Careful())
    assert method.weight.tolist() == [1.0, 2.0] and not method.weights
    assert torch.load(tmp_path / "last.pt", weights_only=True)["step"] == 0


@pytest.mark.parametrize("averaging", [-0.5, 1.5])
def test_an_average_has_a_power_from_0_to_1(averaging: float) -> None:
    with pytest.raises(ConfigError, match="averaging is a number from 0 to 1"):
        plan(averaging=averaging)


def test_threads_are_those_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    trained(tmp_path / "a", threads=3)
    trained(tmp_path / "b")
    assert asked == [3]
