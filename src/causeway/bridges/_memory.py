"""What was drawn last, given again where next to nothing has changed: pictures of a camera are mostly alike."""

from collections.abc import Callable

import torch
from torch import Tensor


class Memory:
    """Of each camera, the last picture that was drawn and its drawing."""

    def __init__(self, skip: float):
        self.skip = skip  # mean change in grey levels from which on a picture is drawn anew; 0 remembers nothing
        self._last: tuple[Tensor, Tensor] | None = None  # (V, 3, H, W) uint8 each

    def forget(self) -> None:
        """What comes next belongs to another clip."""
        self._last = None

    def through(self, images: Tensor, draw: Callable[[Tensor], Tensor]) -> Tensor:
        """(B, V, 3, H, W) uint8 -> its drawings; ``draw`` is given those that need one, (N, 3, H, W)."""
        if not self.skip:
            return draw(images.flatten(0, 1)).view(images.shape)
        if self._last is not None and self._last[0].shape != images.shape[1:]:
            self.forget()
        last = () if self._last is None else (self._last[0][None].to(images.device),)
        seen = torch.cat([*last, images])
        sources, cameras = self._sources(seen), torch.arange(images.shape[1])
        new = sources == torch.arange(len(seen))[:, None]
        drawn = torch.empty_like(seen)
        if self._last is not None:
            drawn[0], new[0] = self._last[1], False
        if new.any():
            drawn[new] = draw(seen[new])
        drawn = drawn[sources, cameras]
        self._last = seen[sources[-1], cameras], drawn[-1]
        return drawn[len(last) :]

    def _sources(self, seen: Tensor) -> Tensor:
        """(R, V) the row whose drawing each picture is given: its own, or that of an earlier one.

        Each is compared with what was drawn, not with the picture before: small changes must not add up unseen.
        """
        sources = torch.zeros(seen.shape[:2], dtype=torch.long)
        for camera in range(seen.shape[1]):
            source = 0
            for row in range(1, len(seen)):
                change = (seen[row, camera].float() - seen[source, camera].float()).abs().mean()
                source = row if change >= self.skip else source
                sources[row, camera] = source
        return sources
