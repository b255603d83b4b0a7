"""Moments and the batches they give."""

from collections.abc import Callable

import numpy as np
import torch

from causeway.data import Batch, Moments

Make = Callable[..., Moments]


def test_a_chunk_ends_with_its_episode(moments: Make) -> None:
    recorded = moments(40, horizon=3)
    chunk = recorded.take(np.array([0, 18, 19])).actions
    assert chunk is not None and recorded.actions is not None
    steer = recorded.actions[:, 0]
    assert chunk[0, :, 0].tolist() == steer[[0, 1, 2]].tolist()
    assert chunk[1, :, 0].tolist() == steer[[18, 19, 19]].tolist()
    assert chunk[2, :, 0].tolist() == steer[[19, 19, 19]].tolist()  # not the next episode's


def test_selecting_keeps_rows_and_hiding_takes_the_demonstration(moments: Make) -> None:
    recorded = moments()
    part = recorded.select(np.arange(60) % 2 == 0).select(np.array([1, 2]))
    assert part.rows.tolist() == [2, 4]
    assert part.hidden().take().actions is None and recorded.take().actions is not None


def test_a_batch_can_be_cut() -> None:
    batch = Batch(torch.zeros(4, 1, 3, 2, 2, dtype=torch.uint8), torch.arange(4.0)[:, None])
    assert len(batch[1:3]) == 2 and batch[torch.tensor([3])].state.item() == 3 and batch[1:3].actions is None


def test_a_batch_goes_to_a_device_whole() -> None:
    batch = Batch(torch.zeros(2, 1, 3, 2, 2, dtype=torch.uint8), torch.zeros(2, 1), torch.zeros(2, 1, 2))
    moved = batch.to("meta")
    assert moved.actions is not None and moved.embedding is None
    assert {moved.images.device.type, moved.state.device.type, moved.actions.device.type} == {"meta"}
