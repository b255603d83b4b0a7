"""What was drawn last, given again where next to nothing has changed: pictures of a camera are mostly alike."""

from collections.abc import Callable

import torch
from torch import Tensor

Past = tuple[Tensor, Tensor]  # of each camera, the last picture that was drawn and its drawing: (V, 3, H, W) uint8


def skip(
    least: float, images: Tensor, draw: Callable[[Tensor], Tensor], past: Past | None
) -> tuple[Tensor, Past | None]:
    """(B, V, 3, H, W) uint8 and what came before -> drawings, and what comes before the next.

    A picture is drawn anew once it has changed by ``least`` grey levels on average since what was drawn last; 0
    remembers nothing. ``draw`` is given those that need a drawing, (N, 3, H, W).
    """
    if not least:
        return draw(images.flatten(0, 1)).view(images.shape), None
    if past is not None and past[0].shape != images.shape[1:]:
        past = None
    last = () if past is None else (past[0][None].to(images.device),)
    seen = torch.cat([*last, images])
    sources, cameras = _sources(seen, least), torch.arange(images.shape[1])
    new = sources == torch.arange(len(seen))[:, None]
    drawn = torch.empty_like(seen)
    if past is not None:
        drawn[0], new[0] = past[1], False
    if new.any():
        drawn[new] = draw(seen[new])
    drawn = drawn[sources, cameras]
    return drawn[len(last) :], (seen[sources[-1], cameras], drawn[-1])


def _sources(seen: Tensor, least: float) -> Tensor:
    """(R, V) the row whose drawing each picture is given: its own, or that of an earlier one.

    Each is compared with what was drawn, not with the picture before: small changes must not add up unseen.
    """
    sources = torch.zeros(seen.shape[:2], dtype=torch.long)
    for camera in range(seen.shape[1]):
        source = 0
        for row in range(1, len(seen)):
            change = (seen[row, camera].float() - seen[source, camera].float()).abs().mean()
            source = row if change >= least else source
            sources[row, camera] = source
    return sources
