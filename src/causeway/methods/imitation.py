"""Copy the demonstrations of both domains, while an alignment pulls the domains together.

With L = -log p(actions | features) per number, in units of the demonstrations' spread, the cost of a batch is

    w_s L(source) + w_t L(target) + w_g L(guessed) + alignment_weight * alignment(source, target)

where w_t + w_g = ``target_weight``, w_g is ``guess_share`` of it, w_s the rest of 1, and "guessed" are target
moments that a labeller gave actions to. The weights are at once the shares of the batch, with at least one moment of
each kind that there is. With a file of ``pairs``, what is aligned is drawn beside what is imitated: source and
target moments that go together in time (Cheng et al. 2025). Maddukuri et al. 2025 and Wei et al. 2025 call w_t (or
1 - w_t) alpha.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ..alignments import Alignment, gathered, none
from ..augment import Augment, Augmentation
from ..bridges import Bridge, identity
from ..data import Batch, Domain, Joint, Moments, Spec
from ..draws import Pairing, Pairs, breadth, together
from ..errors import ConfigError
from ..features import Features, embedded
from ..policies import Policy, Wrapper, cnn
from ..progress import say_once
from . import Cost, Method
from ._streams import Stream, shares, suggested_weight


@dataclass(frozen=True)
class Config:
    """What is learned from whom."""

    policy: Any = field(default_factory=cnn.Config)  # what learns
    alignment: Any = field(default_factory=none.Config)  # what pulls the two domains' features together
    bridge: Any = field(default_factory=identity.Config)  # changes the training pictures of both domains
    augment: Augment = field(default_factory=Augment)  # further changes of the training pictures
    target_weight: float = 0.5  # w_t + w_g (alpha), share of target moments; 0 leaves them out, 1 the source
    guess_share: float = 0.0  # share of these whose actions are a labeller's guesses; all, where nobody demonstrated
    alignment_weight: float = 0.1  # lambda; raising it mixes the domains more, and in the end forgets the task
    pairs: Pairing = field(default_factory=Pairing)  # source moments drawn to go with target moments
    domain_label: bool = False  # whether the policy is told the domain, as one more number of its state
    batch: int = 128  # moments a step
    copies: int = 4  # augmented copies of each picture that frozen eyes look at; more is more diverse and more disk

    def __post_init__(self) -> None:
        if not (0 <= self.target_weight <= 1 and 0 <= self.guess_share <= 1):
            raise ConfigError("target_weight and guess_share are shares, from 0 to 1.")
        if self.batch < 2 or self.copies < 1:
            raise ConfigError("needs batch of 2 or more and copies of 1 or more.")

    def part_for(self, spec: Spec) -> Policy:
        """The untrained policy that a run of this method trains."""
        if self.domain_label:
            return Labelled(self.policy.build(spec._replace(state=spec.state + 1)), spec)
        policy: Policy = self.policy.build(spec)
        return policy

    def rehearse(self, source: Domain, target: Domain, start: nn.Module | None) -> None:
        modules = self.modules(source, target)
        if start is None:
            modules.policy.begin()
        else:
            modules.policy.load_state_dict(start.state_dict())
        shares(self.target_weight, self.guess_share, len(target.labelled), len(target.guessed))
        if self.pairs.file:
            together(self.pairs, source, target)

    def modules(self, source: Domain, target: Domain) -> "Modules":
        """What is trained and what changes its pictures. Raises ConfigError where they do not go together."""
        policy = self.part_for(target.spec)
        alignment = self.alignment.build(policy.width, target.spec.horizon * target.spec.action)
        if alignment.paired and not self.pairs.file:
            raise ConfigError("plan = 'paired' needs moments that go together: set pairs.file, or plan = 'full'.")
        if policy.spatial and (self.augment != Augment() or not isinstance(self.bridge, identity.Config)):
            raise ConfigError(
                "augment and bridge change pictures, and this policy looks at point clouds. Leave them out."
            )
        names = source.unlabelled.state_names, source.unlabelled.action_names
        augmentation = Augmentation(self.augment, *names, target.spec.frame.cameras, target.spec.history)
        return Modules(policy, alignment, self.bridge.build(), augmentation)

    def build(self, source: Domain, target: Domain, seed: int, start: nn.Module | None = None) -> "Imitation":
        return Imitation(self, source, target, seed, start)


class Modules(NamedTuple):
    """The untrained modules of one run."""

    policy: Policy
    alignment: Alignment
    bridge: Bridge
    augmentation: Augmentation


class Labelled(Wrapper):
    """A policy that is told which domain it is in: 0 the source, 1 the target; deployed, it is in the target."""

    def __init__(self, inner: Policy, spec: Spec):
        super().__init__(inner, spec)
        self.width = inner.width
        self.side: Tensor | None = None  # (B,) the domains of the batch at hand

    def calibrate(self, moments: Moments) -> None:
        super().calibrate(moments)
        for name in ("action_mean", "action_scale", "state_mean", "state_scale"):
            getattr(self.inner, name)[: len(getattr(self, name))].copy_(getattr(self, name))

    def project(self, embedding: Tensor, state: Tensor) -> Tensor:
        side = torch.ones(len(state), device=state.device) if self.side is None else self.side
        return self.inner.project(embedding, torch.cat([state, side[:, None]], 1))

    def decode(self, features: Tensor) -> Distribution:
        return self.inner.decode(features)


class Imitation(Method):
    """Behaviour cloning on two domains with an alignment between their features."""

    def __init__(self, config: Config, source: Domain, target: Domain, seed: int, start: nn.Module | None):
        super().__init__()
        self.config, self.source, self.target, self.seed = config, source, target, seed
        self.policy, self.alignment, self.bridge, self.augmentation = config.modules(source, target)
        self.shares = shares(config.target_weight, config.guess_share, len(target.labelled), len(target.guessed))
        if start is not None:
            self.policy.load_state_dict(start.state_dict())
        else:
            self.policy.begin()
            self.policy.calibrate(
                source.labelled
                if self.shares["source"]
                else target.labelled
                if len(target.labelled)
                else target.guessed
            )
        self.streams: list[Stream] = []
        self._kept: dict[str, Batch] = {}

    @property
    def part(self) -> nn.Module:
        return self.policy

    def prepare(self) -> None:
        self._advise()
        self.streams = []
        batch, aligns = self.config.batch, not isinstance(self.alignment, none.NoAlignment)
        sides = {"source": self.source.labelled, "target": self.target.labelled, "guessed": self.target.guessed}
        sizes = {name: max(1, round(share * batch)) if share else 0 for name, share in self.shares.items()}
        sizes["source"] = max(1, batch - sizes["target"] - sizes["guessed"]) if self.shares["source"] else 0
        if self.config.pairs.file:
            self._draw_pairs(sizes, sides, aligns)
            return
        for name, size in sizes.items():
            if size:
                self._stream(name, sides[name], size, self.shares[name], aligned=name != "guessed")
        if aligns:  # what is aligned without being imitated has weight 0
            if not sizes["source"]:
                self._stream("source", self.source.labelled, max(2, batch // 2))
            self._stream("unlabelled", self.target.unlabelled.hidden(), max(2, batch // 2))

    def _draw_pairs(self, sizes: dict[str, int], sides: dict[str, Moments], aligns: bool) -> None:
        """Streams of which some draw moments of both sides that go together."""
        pairs, share = together(self.config.pairs, self.source, self.target), self.config.pairs.share
        count, wide = pairs.shares.any(0).sum(), breadth(pairs.shares)
        say_once(f"By pairs.sharpness a target episode draws from about {wide:.0f} of {count} source episodes.")
        for name, size in sizes.items():
            drawn = round(size * share) if name == "source" else 0
            part = share if 0 < drawn < size else float(drawn > 0)
            if size - drawn:
                self._stream(name, sides[name], size - drawn, self.shares[name] * (1 - part), aligned=False)
            if drawn:
                self._stream("paired source", pairs.source, drawn, self.shares[name] * part, False, pairs)
        if aligns:
            self._stream("source pairs", pairs.source, self.config.pairs.batch, pairs=pairs)
            last = len(self.streams) - 1
            self._stream("target pairs", pairs.target, self.config.pairs.batch, pairs=pairs, number=last)

    def _advise(self) -> None:
        """Print where published evidence would put the mixing weight."""
        labelled, source = len(self.target.labelled), len(self.source.labelled)
        if labelled and source and 0 < self.config.target_weight < 1:
            low, high = suggested_weight(labelled, source)
            say_once(
                f"{labelled} labelled target and {source} source moments: where to begin tuning target_weight is "
                f"{low:.3f} to {high:.3f} (arXiv 2604.13645); here it is {self.config.target_weight:g}."
            )

    def _stream(
        self,
        name: str,
        moments: Moments,
        size: int,
        weight: float = 0.0,
        aligned: bool = True,
        pairs: Pairs | None = None,
        number: int | None = None,
    ) -> None:
        side = float("source" not in name)
        number = len(self.streams) if number is None else number
        self.streams.append(Stream(name, moments, self._features(moments), size, weight, side, aligned, pairs, number))

    def _features(self, moments: Moments) -> Features | None:
        if not self.policy.frozen:
            return None
        copies = self.config.copies * (1 + bool(self.config.augment.mirror))
        folder = self.target.cache
        return embedded(self.policy, moments, self.augmentation, self.bridge, copies, folder)

    def batches(self, start: int) -> Iterator[list[Batch]]:
        step = start
        while True:
            yield [stream.draw((self.seed, self.rank), step) for stream in self.streams]
            step += 1

    def cost(self, batch: list[Batch], progress: float) -> Cost:
        features = torch.split(self._encode(batch), [len(part) for part in batch])
        terms: dict[str, Tensor] = {}
        joints: dict[bool, list[Joint]] = {False: [], True: []}
        scale, mean = self.policy.action_scale, self.policy.action_mean
        for stream, part, feature in zip(self.streams, self._turned, features, strict=True):
            guess = self.policy.decode(feature)
            if part.actions is not None and stream.weight:
                loss = -guess.log_prob(part.actions).mean() / part.actions[0].numel()
                terms[f"imitation/{stream.name}"] = stream.weight * (loss - scale.log().mean())
            if stream.aligned:
                actions = guess.mode.detach() if part.actions is None else part.actions
                joints[stream.side == 1].append(
                    Joint(feature, (actions - mean) / scale, self.policy.scaled(part.state))
                )
        if joints[False] and joints[True]:
            sides = [Joint(*(gathered(torch.cat(column)) for column in zip(*joints[side]))) for side in (False, True)]
            terms["alignment"] = self.config.alignment_weight * self.alignment(*sides, progress)
        return Cost(terms, self.alignment.notes())

    def _encode(self, batch: list[Batch]) -> Tensor:
        """Features of all parts of the batch in one pass; pictures are augmented on the way, points are not."""
        self._turned = batch
        side = torch.cat([torch.full((len(b),), s.side) for b, s in zip(batch, self.streams)]).to(batch[0].state.device)
        if batch[0].embedding is None:
            half = {s.number: torch.rand(len(b), device=side.device) < 0.5 for s, b in zip(self.streams, batch)}
            self._turned = [self.augmentation.mirror(b, half[s.number]) for s, b in zip(self.streams, batch)]
            images = torch.cat([part.images for part in self._turned])
            images = images if self.policy.spatial else self.augmentation(self.bridge(images))
            points = [part.points for part in self._turned if part.points is not None]
            embedding = self.policy.embed(images, torch.cat(points) if points else None)
        else:
            embedding = torch.cat([part.embedding for part in batch if part.embedding is not None])
        if isinstance(self.policy, Labelled):
            self.policy.side = side
        features = self.policy.project(embedding, torch.cat([part.state for part in self._turned]))
        if isinstance(self.policy, Labelled):
            self.policy.side = None
        return features

    @torch.no_grad()
    def check(self) -> dict[str, float]:
        """The mean absolute error on up to 512 tune moments of either domain, first action of the chunk."""
        device = self.policy.action_mean.device
        found = {}
        for domain in (self.source, self.target):
            tune = domain.tune
            if tune.actions is None or not len(tune):
                continue
            batch = self._tuning(domain.name, tune).to(device)
            assert batch.actions is not None
            if isinstance(self.policy, Labelled):
                self.policy.side = torch.full((len(batch),), float(domain.name != "source"), device=device)
            seen = batch.embedding
            embedding = self.policy.embed(batch.images, batch.points) if seen is None else seen
            guess = self.policy.decode(self.policy.project(embedding, batch.state)).mode
            found[f"tune/{domain.name}"] = float((guess - batch.actions)[:, 0].abs().mean())
        if isinstance(self.policy, Labelled):
            self.policy.side = None
        return found

    def _tuning(self, name: str, tune: Moments) -> Batch:
        """Up to 512 tune moments as they are, kept from check to check; what frozen eyes made of them, if they do."""
        if name not in self._kept:
            chosen = np.unique(np.linspace(0, len(tune) - 1, 512).astype(np.int64))
            seen = [s.features for s in self.streams if s.features is not None and s.moments.frames is tune.frames]
            if seen:
                self._kept[name] = seen[0].take(tune, chosen, np.zeros_like(chosen))
            else:
                batch = tune.take(chosen)
                self._kept[name] = self._looked_at(batch) if self.policy.frozen else batch
        return self._kept[name]

    def _looked_at(self, batch: Batch) -> Batch:
        device = self.policy.action_mean.device
        seen = [self.policy.embed(batch.images[i : i + 64].to(device)).cpu() for i in range(0, len(batch), 64)]
        return replace(batch, images=batch.images[:, :0], embedding=torch.cat(seen))
