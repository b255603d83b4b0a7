"""The one training loop; save and restore."""

import json
import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from .average import Average
from .disk import whole
from .errors import ConfigError, Interrupted
from .methods import Cost, Method
from .progress import bar
from .room import roomy

if TYPE_CHECKING:
    from lightning_fabric import Fabric

FULL = "lower method.batch, or picture's height and width. A folder that was begun keeps its settings: choose another."
RANK = 0x9E3779B1  # between the random seeds of ranks: odd, since torch hears the lower 32 bits alone


@dataclass(frozen=True)
class Training:
    """How long and how fast to learn."""

    steps: int = 2000  # optimizer steps; schedules stretch with it; 0 leaves what start left
    learning_rate: float = 1e-3  # at its highest
    weight_decay: float = 1e-4  # pull of the weights to 0
    warmup: float = 0.02  # share of the steps over which the learning rate rises; it falls as a cosine afterwards
    clip: float = 1.0  # largest gradient norm; 0 never clips
    averaging: float = 0.0  # raising it leaves the average over more of the last steps (published .75); 0 the last
    save_every: int = 500  # steps between checkpoints; a killed run loses at most these
    log_every: int = 50  # steps between lines of the log
    checks: int = 8  # how often in a run the tune split is looked at
    accelerator: str = "auto"  # "cpu", "cuda", "mps" ... as lightning-fabric names them
    devices: int = 1  # ranks; each adds a batch of its own to a step
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"  # of the arithmetic
    threads: int = 0  # CPU threads; 0 leaves torch's choice

    def __post_init__(self) -> None:
        if self.steps < 0 or self.save_every < 1 or self.log_every < 1:
            raise ConfigError("needs save_every and log_every of 1 or more, and no negative steps.")
        if self.learning_rate <= 0 or self.weight_decay < 0 or self.warmup < 0 or self.clip < 0 or self.devices < 1:
            raise ConfigError("needs learning_rate above 0, devices of 1 or more, and no negative number.")
        if not 0 <= self.averaging <= 1:
            raise ConfigError(f"averaging is a number from 0 to 1, not {self.averaging}.")


@roomy("No memory to train", FULL)
def train(method: Method, settings: Training, seed: int, folder: Path) -> bool:
    """Run ``method`` to its last step, resuming from ``folder`` when it holds a checkpoint.

    True in the first of several ranks, or the only one: what is to be done once is for it to do.
    """
    fabric = _launched(settings)
    folder.mkdir(parents=True, exist_ok=True)
    method.to(fabric.device)
    method.rank = fabric.global_rank
    if settings.steps:
        method.prepare()
    weights = [weight for weight in method.parameters() if weight.requires_grad]
    if not settings.steps or not any(True for _ in zip(range(1), method.batches(0))):
        if fabric.is_global_zero:
            save(folder, method, None, None, settings.steps)
        return bool(fabric.is_global_zero)
    optimizer = torch.optim.AdamW(weights, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    average = Average(method.part, settings.averaging)
    start = restore(folder, method, optimizer, average)
    if fabric.is_global_zero:
        _forget(folder / "log.jsonl", start)
    module, optimizer = fabric.setup(method, optimizer)
    module.mark_forward_method("cost")
    method.train()
    with stopping() as stop, bar() as shown, open(folder / "log.jsonl", "a", encoding="utf-8") as log:
        row = shown.add_task(folder.name, total=settings.steps, completed=start, unit="steps")
        began = time.perf_counter()
        for step, batch in zip(range(start, settings.steps), method.batches(start)):
            # dropout and noise repeat on resume, and differ between ranks
            torch.manual_seed(seed * 1_000_003 + step + fabric.global_rank * RANK)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(settings, step)
            cost = module.cost(_moved(batch, fabric.device), progress=step / settings.steps)
            loss = torch.stack([*cost.terms.values()]).sum()
            if not torch.isfinite(loss):
                raise FloatingPointError(f"step {step}: loss is {loss.item()}; terms: {_read(cost)}")
            optimizer.zero_grad()
            fabric.backward(loss)
            norm = _clipped(fabric, module, optimizer, settings.clip)
            if not math.isfinite(norm):
                raise FloatingPointError(f"step {step}: the gradient is {norm}; terms: {_read(cost)}")
            optimizer.step()
            done = step + 1
            average.follow(done)
            shown.update(row, completed=done)
            last = done == settings.steps
            if fabric.global_rank == 0:
                if last or step % settings.log_every == 0:
                    clock = {"norm": norm, "seconds": time.perf_counter() - began}
                    _write(log, {"step": step, "loss": loss.item(), **_read(cost), **clock})
                if settings.checks and done % max(1, settings.steps // settings.checks) == 0:
                    method.eval()
                    with average.at_work():
                        _write(log, {"step": done, **method.check()})
                    method.train()
            stops = _any(fabric, stop.is_set())
            if fabric.global_rank == 0 and (last or stops or done % settings.save_every == 0):
                save(folder, method, optimizer, average, done)
            if stops and not last:
                raise Interrupted(f"Stopped at step {done} and saved. The same command goes on from there.")
    average.swap()
    return bool(fabric.is_global_zero)


def _launched(settings: Training) -> "Fabric":
    """The device and the ranks to learn on."""
    if settings.threads:
        torch.set_num_threads(settings.threads)
    fabric = _fabric(settings)
    fabric.launch()
    return fabric


def _fabric(settings: Training) -> "Fabric":
    from lightning_fabric import Fabric  # takes seconds, and who only plans, tests or reports does not learn

    try:
        return Fabric(accelerator=settings.accelerator, devices=settings.devices, precision=settings.precision)
    except (ValueError, RuntimeError) as error:  # of lightning: no such accelerator, or none here
        raise ConfigError(f"[train] accelerator = '{settings.accelerator}' cannot be used: {error}") from None


def refuse_absent(settings: Training) -> None:
    """Raise ConfigError where a named accelerator is not here; what is always here is not asked for."""
    if settings.accelerator not in ("auto", "cpu"):
        _fabric(settings)


def _any(fabric: "Fabric", said: bool) -> bool:
    """Whether any rank said so: ranks that stopped at different steps would wait for one another for ever."""
    if fabric.world_size == 1:
        return said
    heard: Any = fabric.all_reduce(torch.tensor(float(said), device=fabric.device), reduce_op="sum")
    return bool(heard > 0)


def _clipped(fabric: "Fabric", module: Any, optimizer: Any, clip: float) -> float:
    """The norm of the gradient, which is no more than ``clip`` afterwards; 0 clips nothing."""
    most = clip or math.inf
    norm = fabric.clip_gradients(module, optimizer, max_norm=most, error_if_nonfinite=False)
    return 0.0 if norm is None else float(norm)


def learning_rate(settings: Training, step: int) -> float:
    """Linear warm-up to the highest rate, then half a cosine to 0."""
    rising = (step + 1) / max(1.0, settings.warmup * settings.steps)
    return settings.learning_rate * min(1.0, rising) * 0.5 * (1 + math.cos(math.pi * step / settings.steps))


def save(folder: Path, method: Method, optimizer: Any, average: Average | None, step: int) -> None:
    """Write a checkpoint beside the last one, then put it in its place: a killed run never leaves half a file."""
    state = {
        "method": method.state_dict(),
        "optimizer": optimizer.state_dict() if optimizer else {},
        "average": average.values if average else [],
        "step": step,
    }
    advice = f"The checkpoint before step {step} is kept: make room, and give the same command again."
    with whole(folder / "last.pt", advice) as temporary:
        torch.save(state, temporary)


def restore(folder: Path, method: Method, optimizer: Any, average: Average) -> int:
    """Load the last checkpoint, if any, into ``method``, ``optimizer`` and ``average``; the step to go on from.

    Raises ConfigError where it is of another layout.
    """
    path = folder / "last.pt"
    if not path.exists():
        return 0
    saved = torch.load(path, weights_only=True, map_location="cpu")
    try:
        method.load_state_dict(saved["method"])
        optimizer.load_state_dict(saved["optimizer"])
        average.restore(saved["average"])
    except (RuntimeError, ValueError):
        raise ConfigError(
            f"{path} was saved by another version, whose weights are laid out otherwise. Remove {folder} to train anew."
        ) from None
    return int(saved["step"])


def _forget(log: Path, step: int) -> None:
    """Drop what the log says of steps after the checkpoint: they are done again."""
    if not log.exists():
        return
    kept = []
    for line in log.read_text(encoding="utf-8").splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            break  # the line a kill cut short
        if record["step"] < step or (record["step"] == step and "loss" not in record):
            kept.append(line + "\n")
    with whole(log) as temporary:
        temporary.write_text("".join(kept), encoding="utf-8")


def _write(log: Any, record: dict[str, Any]) -> None:
    log.write(json.dumps(record) + "\n")
    log.flush()


def _read(cost: Cost) -> dict[str, float]:
    return {name: float(value.detach()) for name, value in cost.terms.items()} | dict(cost.notes)


def _moved(batch: Any, device: torch.device) -> Any:
    """A batch, or a list or tuple of them, on ``device``."""
    if isinstance(batch, list | tuple):
        return type(batch)([_moved(part, device) for part in batch])
    return batch.to(device)


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets, so that the step at hand is finished first; a second Ctrl-C stops at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number: int, frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
