"""What was drawn last, given again where next to nothing has changed: pictures of a camera are mostly alike."""

from collections.abc import Callable

import torch
from torch import Tensor

Past = tuple[Tensor, Tensor]  # of each camera, the last picture that was drawn and its drawing: (V, 3, H, W) uint8


class Memory:
    """Draws anew what has changed enough."""

    def __init__(self, skip: float):
        self.skip = skip  # mean change in grey levels from which on a picture is drawn anew; 0 remembers nothing

    def through(
        self, images: Tensor, draw: Callable[[Tensor], Tensor], past: Past | None
    ) -> tuple[Tensor, Past | None]:
        """(B, V, 3, H, W) uint8 and what came before -> drawings, and what comes before the next.

        ``draw`` is given those that need a drawing, (N, 3, H, W).
        """
        if not self.skip:
            return draw(images.flatten(0, 1)).view(images.shape), None
        if past is not None and past[0].shape != images.shape[1:]:
            past = None
        last = () if past is None else (past[0][None].to(images.device),)
        seen = torch.cat([*last, images])
        sources, cameras = self._sources(seen), torch.arange(images.shape[1])
        new = sources == torch.arange(len(seen))[:, None]
        drawn = torch.empty_like(seen)
        if past is not None:
            drawn[0], new[0] = past[1], False
        if new.any():
            drawn[new] = draw(seen[new])
        drawn = drawn[sources, cameras]
        return drawn[len(last) :], (seen[sources[-1], cameras], drawn[-1])

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
