"""Changes of a training picture that leave the right action known: light, colour, blur, shifts, holes, mirrors."""

from dataclasses import dataclass, replace

import kornia.augmentation as K
import torch
from torch import Tensor, nn

from .data import Batch
from .errors import ConfigError, nearest


@dataclass(frozen=True)
class Augment:
    """How far each training picture may be changed. Zeros change nothing."""

    brightness: float = 0.0  # largest relative change of brightness, 0..1
    contrast: float = 0.0  # largest relative change of contrast, 0..1
    saturation: float = 0.0  # largest relative change of colourfulness, 0..1
    hue: float = 0.0  # largest turn of the colour circle, 0..0.5
    grey: float = 0.0  # share of pictures that lose their colour
    blur: float = 0.0  # share of pictures that are blurred
    shift: float = 0.0  # largest shift as a share of the picture's size; the action is kept, so keep it small
    erase: float = 0.0  # share of pictures with a rectangle blotted out
    mirror: tuple[
        str, ...
    ] = ()  # state and actions that change sign in a mirror, e.g. ["steering"]; none: no mirroring

    def __post_init__(self) -> None:
        for name, most in (("hue", 0.5), ("grey", 1.0), ("blur", 1.0), ("shift", 1.0), ("erase", 1.0)):
            if not 0 <= getattr(self, name) <= most:
                raise ConfigError(f"{name} must be between 0 and {most:g}, not {getattr(self, name)}.")
        if min(self.brightness, self.contrast, self.saturation) < 0:
            raise ConfigError("brightness, contrast and saturation must not be negative.")


class Augmentation(nn.Module):
    """The changes of an ``Augment``, by kornia, in evaluation none. Each picture draws its own, but those of a history:
    the frames of one camera are changed alike, so that what moves in them is the world.
    """

    def __init__(
        self,
        config: Augment,
        state_names: tuple[str, ...],
        action_names: tuple[str, ...],
        cameras: int = 1,
        history: int = 1,
    ):
        super().__init__()
        if config.mirror and cameras > 1:  # the left one would be the right one; nobody here knows which is which
            raise ConfigError(f"mirror works with one camera, and there are {cameras}. Choose one, or do not mirror.")
        for name in config.mirror:
            if name not in (known := (*state_names, *action_names)):
                raise ConfigError(f"augment.mirror: there is no state or action '{name}'. {nearest(name, known)}")
        self.config = config
        self.state_signs: Tensor
        self.action_signs: Tensor
        self.register_buffer("state_signs", signs(state_names * history, config.mirror), persistent=False)
        self.register_buffer("action_signs", signs(action_names, config.mirror), persistent=False)
        c = config
        steps: list[nn.Module] = []
        if c.brightness or c.contrast or c.saturation or c.hue:
            steps.append(K.ColorJitter(c.brightness, c.contrast, c.saturation, c.hue, p=1.0))
        if c.grey:
            steps.append(K.RandomGrayscale(p=c.grey))
        if c.blur:
            steps.append(K.RandomGaussianBlur((5, 5), (0.3, 2.0), p=c.blur))
        if c.shift:
            steps.append(K.RandomAffine(0.0, (c.shift, c.shift), padding_mode="border", p=1.0))
        if c.erase:
            steps.append(K.RandomErasing((0.02, 0.2), p=c.erase))
        several = K.VideoSequential if history > 1 else nn.Sequential
        self.changes = several(*steps) if steps else None
        self.cameras, self.history = cameras, history

    def forward(self, images: Tensor) -> Tensor:
        """(B, V, 3, H, W) uint8 -> the same shape and type, each picture changed on its own."""
        if not self.training or self.changes is None:
            return images
        if self.history == 1:
            changed: Tensor = self.changes(images.flatten(0, 1).float() / 255)
        else:
            frames = images.reshape(len(images), -1, self.cameras, *images.shape[2:]).transpose(
                1, 2
            )  # (B, V, O, 3, H, W)
            films = self.changes(frames.flatten(0, 1).float() / 255)
            changed = films.reshape(frames.shape).transpose(1, 2)
        return changed.mul(255).round_().clamp_(0, 255).to(torch.uint8).reshape(images.shape)

    def mirror(self, batch: Batch, chosen: Tensor) -> Batch:
        """``batch`` with the ``chosen`` (B,) moments seen in a mirror: left is right, and steers the other way."""
        if not self.config.mirror:
            return batch
        images = torch.where(chosen[:, None, None, None, None], batch.images.flip(-1), batch.images)
        state, actions = self.turn(batch.state, batch.actions, chosen)
        return replace(batch, images=images, state=state, actions=actions)

    def turn(self, state: Tensor, actions: Tensor | None, chosen: Tensor) -> tuple[Tensor, Tensor | None]:
        """State (B, S) and actions (B, T, A) as they are in the mirror, for the ``chosen`` (B,) moments."""
        state = torch.where(chosen[:, None], state * self.state_signs.to(state.device), state)
        if actions is not None:
            actions = torch.where(chosen[:, None, None], actions * self.action_signs.to(actions.device), actions)
        return state, actions


def signs(names: tuple[str, ...], turned: tuple[str, ...]) -> Tensor:
    """(len(names),): -1 for each name in ``turned``, else 1."""
    return torch.tensor([-1.0 if name in turned else 1.0 for name in names])
