"""A run's work: its domains, training, and the test of what it trained."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from . import agreement, crossing, domain, evaluate, parts, ranks, readings, splits
from .data import Domain
from .errors import ConfigError
from .finished import BRIDGE, bridge_of, judges_of, load_part, test, word_of
from .progress import say_once
from .room import roomy
from .run import Run, acts, held
from .train import FULL, train


def domains(run: Run, decode: bool = True, shown: bool = False) -> tuple[Domain, Domain]:
    """The two domains of a run, with its seed's few shots; blank pictures unless ``decode``, to see what is wrong.

    With ``shown`` the target is as its camera shows it, for an agent that redraws it itself.
    """
    e = run.experiment
    common = e.picture, e.horizon, run.cache, e.seed
    needed = acts(e.method)
    source = domain.build("source", e.source, *common, None, decode, e.history, needed)
    target = domain.build("target", e.target, *common, source, decode, e.history, needed)
    if needed:
        agreement.refuse_mismatch(source, target, e.horizon)
    if decode:
        return _redrawn(run, source, e.source), target if shown else _redrawn(run, target, e.target)
    return source, target


def work(run: Run) -> None:
    """Train and test a run, going on where it was left; nothing is done twice."""
    with held(run):
        if run.trained and run.tested:
            return
        (run.folder / "error.txt").unlink(missing_ok=True)
        if through := run.experiment.target.through:
            parts.copy(Path(through), run.folder / BRIDGE)
        source, target = domains(run)
        if run.begun:
            splits.refuse_other_data(run.folder, splits.recorded(source, target))
        if not run.trained:
            splits.write(run.folder, source, target, run.experiment.target.test_dataset is not None)
            if run.experiment.train.devices == 1:
                train_part(run, source, target)
            else:
                ranks.train(run.folder)
        e = run.experiment
        if acts(e.method):
            evaluate.save(run.folder / "target.npz", test(run, target))
        else:
            if (run.folder / "gap.npz").exists():
                say_once(f"{run.folder.name} was measured by other [gap] settings, and is measured again.")
            found = crossing.measure(bridge_of(run.folder), e.gap, e.method.to, source, target)
            readings.save(run.folder / "gap.npz", found._replace(asked=run.asked))


def train_part(run: Run, source: Domain, target: Domain) -> None:
    """Train what the run's method trains and save it. Each of several ranks does this; the first one saves."""
    e = run.experiment
    torch.manual_seed(e.seed)
    start = load_part(Path(e.start)) if e.start else None
    with beginning(e.start), roomy("No memory to train", FULL):
        method = e.method.build(source, target, e.seed, start)
    if train(method, e.train, e.seed, run.folder):
        parts.save(run.folder, method.part, target)


@contextmanager
def beginning(start: str) -> Iterator[None]:
    """Raises ConfigError where the part of the run ``start`` does not fit what is to go on from it."""
    try:
        yield
    except RuntimeError as error:
        if not start:
            raise
        why = parts.reason(error)
        raise ConfigError(
            f"start: the part of {start} does not fit this run's settings. {why} Say its size here as it was said "
            "there: the bridge's or policy's table, and picture."
        ) from None


def _redrawn(run: Run, side: Domain, settings: domain.Config) -> Domain:
    """The side as the bridge that its settings name redraws it; as it is where they name none."""
    if not settings.through:
        return side
    folder, encoder = Path(settings.through), run.experiment.gap.encoder
    judges, said = judges_of(settings.validator, encoder, settings.witness)
    return crossing.redrawn(side, bridge_of(folder), judges, f"{word_of(folder)} {said}")
