"""Models that read earlier outputs by attention over depth: two of transformers, and one written here."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from tests.probe.attach.animals import VOCABULARY, WIDTH, shake

EACH = 2  # layers of transformers in one block, which has twice as many of ours

TEXT: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "unpadded_vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "swa_num_attention_heads": 2,
    "swa_num_key_value_heads": 1,
    "swa_head_dim": 16,
    "d_rel": 4,
    "rel_extent": 8,
    "moe_intermediate_size": 16,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "n_layers_per_attn_res_block": EACH,
    "pad_token_id": 0,
    "bos_token_id": 0,
    "eos_token_id": 1,
}


def build_inkling2() -> Any:
    """Return four layers in two blocks, the first and the third with attention over all tokens."""
    from transformers.models.inkling2.configuration_inkling2 import Inkling2TextConfig
    from transformers.models.inkling2.modeling_inkling2 import Inkling2ForCausalLM

    torch.manual_seed(0)
    kinds = ["hybrid", "hybrid_sliding", "hybrid", "hybrid_sliding"]
    model = Inkling2ForCausalLM(Inkling2TextConfig(**TEXT, num_hidden_layers=4, layer_types=kinds))
    return shake(shake(model, size=0.1), "query", size=1.0)


def build_inkling2_loop() -> Any:
    """Return six layers, of which the third and the fourth run three times."""
    from transformers.models.inkling2_loop.configuration_inkling2_loop import Inkling2LoopTextConfig
    from transformers.models.inkling2_loop.modeling_inkling2_loop import Inkling2LoopForCausalLM

    torch.manual_seed(0)
    loop: dict[str, Any] = {
        "loop_layer_index_start": 2,
        "loop_layer_index_end": 4,
        "loop_num_passes": 3,
        "loop_gate_rank": 4,
    }
    kinds = ["hybrid_sliding", "hybrid_sliding", "hybrid", "hybrid_sliding", "hybrid_sliding", "hybrid_sliding"]
    model = Inkling2LoopForCausalLM(Inkling2LoopTextConfig(**TEXT, **loop, num_hidden_layers=6, layer_types=kinds))
    return shake(shake(model, size=0.1), "query", size=1.0)


class Read(nn.Module):
    """Attention over a list of sources, with a linear map as query and a gain in the norm of the keys."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.score = nn.RMSNorm(WIDTH, eps=1e-6), nn.Linear(WIDTH, 1, bias=False)

    def forward(self, sources: list[torch.Tensor]) -> torch.Tensor:
        stacked = torch.stack(sources)
        weights = torch.softmax(self.score(self.norm(stacked)), 0)
        return (weights * stacked).sum(0)


class BareRead(nn.Module):
    """A query of its own, without other parts or parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.zeros(WIDTH))

    def forward(self, sources: list[torch.Tensor]) -> torch.Tensor:
        stacked = torch.stack(sources)
        keys = stacked * torch.rsqrt(stacked.square().mean(-1, keepdim=True) + 1e-6)
        return (torch.softmax(keys @ self.query, 0).unsqueeze(-1) * stacked).sum(0)


class SigmoidRead(Read):
    """Weights that do not sum to 1: no attention over depth."""

    def forward(self, sources: list[torch.Tensor]) -> torch.Tensor:
        stacked = torch.stack(sources)
        return (torch.sigmoid(self.score(self.norm(stacked))) * stacked).sum(0)


class Reader(nn.Module):
    """Every output is a source; reads and branches are lists in one module.

    `forgets` drops the first source before the last read but one, which no sum over earlier outputs does. `adds` the
    plain state to what is read, as in the delta form.
    """

    def __init__(
        self, layers: int = 4, kind: type[nn.Module] = Read, *, forgets: bool = False, adds: bool = False
    ) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.branches = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH), nn.Tanh()) for _ in range(4)
        )
        self.reads = nn.ModuleList(kind() for _ in range(4))
        self.forgets, self.adds = forgets, adds
        shake(self, size=0.3)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        read = self.embed(input_ids)
        sources = [read]
        for layer, (branch, attend) in enumerate(zip(self.branches, self.reads, strict=True)):
            sources.append(branch(read))
            if self.forgets and layer == 2:
                sources.pop(0)
            read = attend(sources)
            if self.adds:
                read = read + torch.stack(sources).sum(0)
        return read


def read_sources(
    query: torch.Tensor, sources: list[torch.Tensor], key_gain: torch.Tensor, gain: torch.Tensor | None
) -> torch.Tensor:
    """Attention over depth as a function; a norm with this gain follows."""
    stacked = torch.stack(sources)
    weights = torch.softmax(functional.rms_norm(stacked, (WIDTH,), key_gain, 1e-6) @ query.flatten(), 0)
    read = (weights.unsqueeze(-1) * stacked).sum(0)
    return read if gain is None else functional.rms_norm(read, (WIDTH,), gain, 1e-6)


def sum_by_sigmoid(
    query: torch.Tensor, sources: list[torch.Tensor], key_gain: torch.Tensor, gain: torch.Tensor | None
) -> torch.Tensor:
    """Return a sum by weights that do not add up to 1, before the norm."""
    stacked = torch.stack(sources)
    weights = torch.sigmoid(functional.rms_norm(stacked, (WIDTH,), key_gain, 1e-6) @ query.flatten())
    read = (weights.unsqueeze(-1) * stacked).sum(0)
    return read if gain is None else functional.rms_norm(read, (WIDTH,), gain, 1e-6)


class ReadingBlock(nn.Module):
    """Two branches that each read sources by a function, as in the models of flash-linear-attention.

    It takes and returns the sum of outputs that is not yet a source, and the list of sources. `fuses`: the function
    applies the norm of the branch, too. `squashes` changes outputs outside of the branches.
    """

    def __init__(self, index: int, size: int, *, fuses: bool, squashes: bool) -> None:
        super().__init__()
        self.attn_norm, self.attn = nn.RMSNorm(WIDTH, eps=1e-6), nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh())
        self.mlp_norm, self.mlp = nn.RMSNorm(WIDTH, eps=1e-6), nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh())
        self.attn_query, self.attn_keys = nn.Linear(WIDTH, 1, bias=False), nn.RMSNorm(WIDTH, eps=1e-6)
        self.mlp_query, self.mlp_keys = nn.Linear(WIDTH, 1, bias=False), nn.RMSNorm(WIDTH, eps=1e-6)
        self.ends = [(2 * index + k) % size == 0 for k in range(2)]
        self.fuses, self.squashes = fuses, squashes

    def forward(
        self, partial: torch.Tensor, sources: list[torch.Tensor] | None, attention_mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        listed = sources or []
        for name, is_end in zip(("attn", "mlp"), self.ends, strict=True):
            norm, branch, query, keys = (
                getattr(self, key) for key in (f"{name}_norm", name, f"{name}_query", f"{name}_keys")
            )
            given = [*listed, partial]
            if len(given) == 1:
                read = norm(partial)
            elif self.fuses:
                read = read_sources(query.weight, given, keys.weight, norm.weight)
            else:
                read = norm(read_sources(query.weight, given, keys.weight, None))
            added = branch(read)
            added = torch.tanh(added) if self.squashes else added
            listed, partial = (given, added) if is_end else (listed, partial + added)
        return partial, listed


class FunctionReader(nn.Module):
    """Blocks whose reads are no modules; `size` outputs make one source. All queries are 0 at first."""

    def __init__(
        self, size: int, layers: int = 4, *, fuses: bool = True, squashes: bool = False, reruns: bool = False
    ) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.layers = nn.ModuleList(
            ReadingBlock(index, size, fuses=fuses, squashes=squashes) for index in range(layers)
        )
        self.norm = nn.RMSNorm(WIDTH, eps=1e-6)
        self.query, self.keys = nn.Linear(WIDTH, 1, bias=False), nn.RMSNorm(WIDTH, eps=1e-6)
        self.reruns = reruns
        for name, parameter in self.named_parameters():
            if "query" in name:
                nn.init.zeros_(parameter)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        partial: torch.Tensor = self.embed(input_ids)
        sources: list[torch.Tensor] | None = None
        for layer in self.layers:
            if self.reruns:
                partial, sources = checkpoint(layer, partial, sources, use_reentrant=False)
            else:
                partial, sources = layer(partial, sources, attention_mask=attention_mask)
        return read_sources(self.query.weight, [*(sources or []), partial], self.keys.weight, self.norm.weight)


def build_function_reader(size: int, **kwargs: bool) -> FunctionReader:
    """Return a model whose queries and gains are random."""
    model = FunctionReader(size, **kwargs)
    shake(model, size=0.3)
    return model
