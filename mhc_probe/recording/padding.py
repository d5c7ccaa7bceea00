"""Find the samples that are padding, from the mask that the model receives."""

import inspect
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import nn

from mhc_probe.recording.pass_recorder import PassRecorder

KEEPS = ("attention_mask", "decoder_attention_mask")  # 1 where there is a token
DROPS = ("src_key_padding_mask", "key_padding_mask", "padding_mask")  # True where there is padding


def register_hooks(model: nn.Module, inner: nn.Module, recorder: PassRecorder) -> list[Callable[[], None]]:
    """Hook the modules that contain `inner`, a module of a layer, to find a mask (B, T). The innermost call counts."""
    around = [module for module in model.modules() if any(part is inner for part in module.modules())]
    is_turned = any(getattr(module, "batch_first", True) is False for module in model.modules())
    return [
        module.register_forward_pre_hook(partial(_store_mask, recorder, is_turned), with_kwargs=True).remove
        for module in around
        if module is not inner
    ]


def _store_mask(recorder: PassRecorder, is_turned: bool, module: nn.Module, args: Any, kwargs: Any) -> None:
    """Store in the recorder which tokens are not padding, if the arguments of a call have a mask."""
    names = list(inspect.signature(module.forward).parameters)
    given = dict(zip(names, args, strict=False)) | kwargs
    for name, mask in _find_masks(given, (*KEEPS, *DROPS)):
        is_kept = mask.bool() if name in KEEPS else ~mask if mask.dtype == torch.bool else mask == 0
        recorder.mask = is_kept.T if name in DROPS and is_turned else is_kept


def _find_masks(given: dict[str, Any], names: Iterable[str]) -> list[tuple[str, torch.Tensor]]:
    """Return those named arguments of a call that are masks of two axes."""
    found = [(name, given.get(name)) for name in names]
    return [(name, mask.detach()) for name, mask in found if isinstance(mask, torch.Tensor) and mask.ndim == 2]
