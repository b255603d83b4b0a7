"""The weights of a denoiser that are tuned: kept and saved apart from the foundation model that they work in."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ..errors import ConfigError

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")  # of pictures,
# and of words where a transformer has layers of their own for them


class Tuned(nn.Module):
    """Parameters under the names that they have in the denoiser; none before there is a denoiser or a state to load.

    The objects here are the ones that learn: they are put into every denoiser that is loaded.
    """

    def join(self, denoiser: nn.Module, own: Mapping[str, nn.Parameter]) -> None:
        """Become the weights ``own`` of ``denoiser``, or put those that were loaded in their place."""
        held = dict(self.named_parameters())
        if not held:
            for name, weight in own.items():
                _place(self, name, weight)
            return
        shapes, wanted = ({name: each.shape for name, each in side.items()} for side in (held, own))
        if shapes != wanted:
            other = sorted(name for name in shapes.keys() | wanted.keys() if shapes.get(name) != wanted.get(name))
            raise ConfigError(
                f"bridge 'diffusion': the tuned weights do not fit model, tune and rank: {len(other)} differ, first "
                f"{other[0]}. Name the model that they were tuned in."
            )
        for name, weight in held.items():
            _place(denoiser, name, weight)

    def _load_from_state_dict(self, state_dict: Mapping[str, Tensor], prefix: str, *rest: Any) -> None:
        """torch's hook: what a saved state names is made where nothing is yet."""
        if next(self.parameters(), None) is None:
            for name, value in state_dict.items():
                if name.startswith(prefix):
                    _place(self, name.removeprefix(prefix), nn.Parameter(value.detach().clone()))
        super()._load_from_state_dict(state_dict, prefix, *rest)


def lora(denoiser: Any, rank: int) -> dict[str, nn.Parameter]:
    """Add a low-rank change W + B A to every attention of ``denoiser``; A and B, in float32, alone can learn.

    B is 0 at first, so that nothing has changed yet (Hu et al. 2022).
    """
    from peft import LoraConfig

    denoiser.requires_grad_(False)
    denoiser.add_adapter(
        LoraConfig(r=rank, lora_alpha=rank, init_lora_weights="gaussian", target_modules=list(ATTENTION))
    )
    own = {name: weight for name, weight in denoiser.named_parameters() if "lora_" in name}
    return _learning(own)


def weights(denoiser: nn.Module) -> dict[str, nn.Parameter]:
    """All weights of ``denoiser``, in float32: steps of 5e-6 would be lost in half precision."""
    return _learning(dict(denoiser.named_parameters()))


def _learning(own: dict[str, nn.Parameter]) -> dict[str, nn.Parameter]:
    for weight in own.values():
        weight.data = weight.data.float()
        weight.requires_grad_(True)
    return own


def _place(root: nn.Module, name: str, weight: nn.Parameter) -> None:
    """Make ``weight`` the parameter ``name`` of ``root``, with the modules on the way to it."""
    *parents, leaf = name.split(".")
    for parent in parents:
        if parent not in root._modules:
            root.add_module(parent, nn.Module())
        root = root.get_submodule(parent)
    root.register_parameter(leaf, weight)
