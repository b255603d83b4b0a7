"""What a trial is worth to reinforcement learning. One file per reward."""
