"""What another program made of these very pictures: each is looked up, so that it stands in the same table as others.

``before`` and ``after`` are folders of pictures that go together one by one, in the order that people count in. A
picture that is not among those before is refused: there is nothing to answer.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..cache import Crop, fit
from ..datasets import images
from ..errors import DataError
from . import Bridge


@dataclass(frozen=True)
class Config:
    """Where the pictures are."""

    before: str  # folder of the pictures that the other program was given
    after: str  # folder of what it made of them

    def build(self) -> "Recorded":
        return Recorded(self)


class Recorded(Bridge):
    """Reads both folders at the size of the first picture it is asked for, uncropped."""

    def __init__(self, config: Config):
        super().__init__()
        self.config: Config = config
        self._known: dict[tuple[int, int], dict[bytes, NDArray[np.uint8]]] = {}  # by size

    def begin(self) -> None:
        counts = [sum(map(len, self._folder(root).episodes)) for root in (self.config.before, self.config.after)]
        if counts[0] != counts[1]:
            raise DataError(
                f"{self.config.after} holds {counts[1]} pictures, but {self.config.before} holds {counts[0]}."
            )

    def forward(self, pictures: Tensor) -> Tensor:
        size = pictures.shape[3], pictures.shape[4]
        if size not in self._known:
            before, after = (self._read(root, *size) for root in (self.config.before, self.config.after))
            self._known[size] = {old.tobytes(): new for old, new in zip(before, after, strict=True)}
        flat = pictures.flatten(0, 1).cpu().numpy()
        found = [self._known[size].get(picture.tobytes()) for picture in flat]
        if any(each is None for each in found):
            raise DataError(f"A picture is not among those of {self.config.before}: nobody knows what it became.")
        drawn = torch.from_numpy(np.stack([each for each in found if each is not None]))
        return drawn.view(pictures.shape).to(pictures.device)

    def _read(self, root: str, height: int, width: int) -> list[NDArray[np.uint8]]:
        """The pictures of a folder, (3, H, W) each."""
        folder = self._folder(root)
        frames = (frame[0] for number in range(len(folder.episodes)) for frame in folder.frames(number))
        return [np.ascontiguousarray(fit(frame, height, width, Crop()).transpose(2, 0, 1)) for frame in frames]

    @staticmethod
    def _folder(root: str) -> images.Images:
        return images.Config(root).build()
