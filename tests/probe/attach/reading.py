"""Models that read earlier outputs by attention over depth: two of transformers, and one written here."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

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


def read_sources(query: torch.Tensor, sources: list[torch.Tensor], gain: torch.Tensor) -> torch.Tensor:
    """Attention over depth as a function; a norm with this gain follows."""
    stacked = torch.stack(sources)
    weights = torch.softmax(functional.rms_norm(stacked, (WIDTH,)) @ query.flatten(), 0)
    return functional.rms_norm((weights.unsqueeze(-1) * stacked).sum(0), (WIDTH,), gain)


class ReadingBlock(nn.Module):
    """Two branches that each read sources by a function, as in the models of flash-linear-attention.

    It takes and returns the sum of outputs that is not yet a source, and the list of sources.
    """

    def __init__(self, index: int, size: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(2))
        self.queries = nn.ParameterList(torch.zeros(1, WIDTH) for _ in range(2))
        self.gains = nn.ParameterList(torch.ones(WIDTH) for _ in range(2))
        self.ends = [(2 * index + k) % size == 0 for k in range(2)]

    def forward(self, partial: torch.Tensor, sources: list[torch.Tensor]) -> tuple[torch.Tensor, list[torch.Tensor]]:
        for branch, query, gain, is_end in zip(self.branches, self.queries, self.gains, self.ends, strict=True):
            given = [*sources, partial]
            sources = given if is_end else sources
            added = torch.tanh(branch(read_sources(query, given, gain)))
            partial = added if is_end else partial + added
        return partial, sources


class FunctionReader(nn.Module):
    """Blocks whose reads are no modules; `size` outputs make one source."""

    def __init__(self, size: int, layers: int = 4) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.layers = nn.ModuleList(ReadingBlock(index, size) for index in range(layers))
        self.query = nn.Linear(WIDTH, 1, bias=False)
        self.norm = nn.RMSNorm(WIDTH)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        partial, sources = self.embed(input_ids), list[torch.Tensor]()
        for layer in self.layers:
            partial, sources = layer(partial, sources)
        return read_sources(self.query.weight, [*sources, partial], self.norm.weight)
