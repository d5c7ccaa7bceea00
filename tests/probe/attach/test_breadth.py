"""The probe on every language model of transformers that a tiny configuration builds and runs: none is misread."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.spec import SpecError
from mhc_probe import attach
from tests.probe.attach.animals import DECODER, LAYERS, draw_ids

pytestmark = pytest.mark.full

HYPER = {"deepseek_v4", "hy_v4", "qwen4_exp", "qwen4_exp_text", "glm5_next", "glm5_next_text"}
MAX_PARAMETERS = 5_000_000
THIRDS = 3
WANTED = 33  # models read of each third; some configurations take no tiny sizes
# As models call their sizes.
SIZES: dict[str, Any] = DECODER | {
    "num_key_value_heads": 2,
    # Of the families of GPT-2, T5 and BART.
    "n_embd": 32,
    "n_layer": LAYERS,
    "n_head": 2,
    "n_positions": 64,
    "d_model": 32,
    "d_ff": 48,
    "d_kv": 16,
    "num_layers": LAYERS,
    "num_heads": 2,
    "ffn_dim": 48,
    "decoder_layers": 2,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 48,
    # Of experts, latent attention and state spaces.
    "num_local_experts": 4,
    "num_experts": 4,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
    "kv_lora_rank": 16,
    "q_lora_rank": 16,
    "v_head_dim": 16,
    "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 8,
    "state_size": 8,
    "type_vocab_size": 2,
}


def build_models(third: int) -> Iterator[tuple[str, Any]]:
    """Each third architecture with a head for language that these sizes build and that runs on twelve tokens alone.

    Those with streams are in each.
    """
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as names

    for index, (name, kind) in enumerate(sorted(names.items())):
        if index % THIRDS != third and name not in HYPER:
            continue
        # Architectures that need more of their configuration, or of their input, are left out.
        try:
            settings = type(transformers.CONFIG_MAPPING[name]())
            own = settings()
            fixed = {key for key in SIZES if isinstance(getattr(settings, key, None), property)}
            config = settings(**{key: value for key, value in SIZES.items() if hasattr(own, key) and key not in fixed})
            build = getattr(transformers, kind)
            with torch.device("meta"):
                size = sum(parameter.numel() for parameter in build(config).parameters())
            if size > MAX_PARAMETERS:
                continue
            torch.manual_seed(0)
            model = build(config).eval()
            run(model).backward()
        except Exception:
            continue
        model.zero_grad()
        yield name, model


def run(model: Any) -> torch.Tensor:
    loss: torch.Tensor = model(input_ids=draw_ids())[0].float().square().mean()
    return loss


class Recorded:
    """Sizes of what every module of a model returns, by hooks."""

    def __init__(self, model: Any) -> None:
        self.rms: list[float] = []
        handles = [module.register_forward_hook(self._keep) for module in model.modules()]
        with torch.no_grad():
            run(model)
        for handle in handles:
            handle.remove()

    def _keep(self, module: Any, args: Any, output: Any) -> None:
        first = output[0] if isinstance(output, tuple | list) and output else output
        if isinstance(first, torch.Tensor):
            self.rms.append(float(first.double().square().mean().sqrt()))


@pytest.mark.parametrize("third", [0, *(pytest.param(k, marks=pytest.mark.trial) for k in range(1, THIRDS))])
def test_no_language_model_of_transformers_is_misread(third: int) -> None:
    read, refused = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, model in build_models(third):
            try:
                with attach(model) as probe:
                    run(model).backward()
                result = probe.result()
            except SpecError as error:
                refused.append(f"{name}: {error}")
                continue
            assert (result.streams > 1) == (name in HYPER), name
            if result.streams == 1:
                sizes = np.array(Recorded(model).rms)
                for rms in result.layers["act_rms"]:  # each is the size of what one of its modules returned
                    assert np.abs(sizes / rms - 1).min() < 1e-5, name
            read.append(name)
    assert {"deepseek_v4", "hy_v4"} <= set(read)
    assert len(read) >= WANTED, refused
    assert all("stacks" in text or "without a list" in text or "is not what left" in text for text in refused), refused
