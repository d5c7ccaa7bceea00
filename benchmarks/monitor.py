"""What a monitor costs the training that it watches, and its alarms. `python -m benchmarks.monitor` prints rows.

Two trainings of the same model go side by side, ten updates a round, one of them with an observation in each round that
is written to a file. What a round takes longer is one observation; beside a hundred updates it is the share that is
printed. Then 500 updates that are sound, and 500 at a thousand times the learning rate; `shares` leaves these out.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.rows import Row, print_rows
from benchmarks.side_by_side import clock, median_ratio, time_interleaved
from mhc_probe import Monitor

EVERY, ROUND, UPDATES = 100, 10, 500
RATE = 1e-3
BATCH, TOKENS, VOCABULARY, WIDTH, LAYERS = 4, 64, 64, 64, 6


def build_llama() -> Any:
    """Return a model with six blocks."""
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes: dict[str, Any] = {"vocab_size": VOCABULARY, "hidden_size": WIDTH, "intermediate_size": 2 * WIDTH}
    heads: dict[str, Any] = {"num_attention_heads": 4, "num_key_value_heads": 4}
    return LlamaForCausalLM(LlamaConfig(**sizes, **heads, num_hidden_layers=LAYERS))


def build_deepseek() -> Any:
    """Return a model with six blocks of four streams and every kind of attention."""
    from transformers import DeepseekV4Config, DeepseekV4ForCausalLM

    kinds = ["sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention"]
    config = DeepseekV4Config(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        moe_intermediate_size=32,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        head_dim=16,
        q_lora_rank=16,
        o_lora_rank=16,
        o_groups=2,
        n_routed_experts=4,
        num_experts_per_tok=2,
        index_n_heads=2,
        index_head_dim=16,
        hc_mult=4,
        layer_types=[kinds[layer % 3] for layer in range(LAYERS)],
        mlp_layer_types=["hash_moe", *["moe"] * (LAYERS - 1)],
        compress_rates={"compressed_sparse_attention": 4, "heavily_compressed_attention": 4},
    )
    return DeepseekV4ForCausalLM(config)


class WithHead(torch.nn.Module):
    """Adds a linear head to a body that returns hidden states."""

    def __init__(self, body: Any) -> None:
        super().__init__()
        self.body, self.head = body, torch.nn.Linear(WIDTH, VOCABULARY)

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        logits = self.head(self.body(input_ids=input_ids)[0])
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())


def build_glm() -> Any:
    """Return a model with six blocks of four streams, linear and full attention in turn."""
    from transformers.models.glm5_next import Glm5NextTextConfig, Glm5NextTextModel

    config = Glm5NextTextConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        num_key_value_heads=2,
        intermediate_size=2 * WIDTH,
        moe_intermediate_size=32,
        n_routed_experts=4,
        num_experts_per_tok=2,
        kv_lora_rank=16,
        q_lora_rank=16,
        v_head_dim=16,
        qk_nope_head_dim=16,
        index_topk=4,
        index_head_dim=16,
        index_n_heads=2,
        linear_head_dim=16,
        linear_num_heads=2,
        index_kpool=4,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=1,
        layer_types=["linear_attention", "full_attention"] * (LAYERS // 2),
    )
    return WithHead(Glm5NextTextModel(config))


BUILDERS: dict[str, Callable[[], Any]] = {
    "DeepSeek-V4": build_deepseek,
    "GLM-5-next": build_glm,
    "Llama": build_llama,
}


class Training:
    """A model with its optimiser and its batches: every second token repeats the one before it."""

    def __init__(self, build: Callable[[], Any], rate: float = RATE) -> None:
        torch.manual_seed(0)
        self.model = build()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=rate)
        self.generator = torch.Generator().manual_seed(0)

    def go_on(self, updates: int) -> None:
        """Make this many updates."""
        for _ in range(updates):
            ids = torch.randint(2, VOCABULARY, (BATCH, TOKENS), generator=self.generator)
            ids[:, 1::2] = ids[:, ::2]
            self.optimizer.zero_grad()
            output = self.model(input_ids=ids, labels=ids)
            loss = output if isinstance(output, torch.Tensor) else output.loss
            loss.backward()
            self.optimizer.step()


def measure_share(name: str, folder: Path) -> float:
    """Return the time of one observation as a share of that of a hundred updates."""
    alone, watched = Training(BUILDERS[name]), Training(BUILDERS[name])
    with Monitor(watched.model, every=ROUND, to=folder / f"{name}.mhct") as monitor:
        seconds = time_interleaved(
            {"alone": clock(lambda: alone.go_on(ROUND)), "watched": clock(lambda: watched.go_on(ROUND))}
        )
        assert monitor.last is not None
        assert monitor.last.iteration >= ROUND * (len(seconds["watched"]) - 1)
    return (median_ratio(seconds, "watched", "alone") - 1) * ROUND / EVERY


def count_alarms(name: str, rate: float) -> int:
    """Return the alarms of 500 updates."""
    training = Training(BUILDERS[name], rate)
    with Monitor(training.model, every=EVERY) as monitor:
        training.go_on(UPDATES)
    for alarm in monitor.alarms:
        print(f"{name}, rate {rate:g}, after {alarm.iteration} updates: {alarm.text}", file=sys.stderr)
    return len(monitor.alarms)


def main() -> None:
    """Print the rows."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for name in BUILDERS:
            share = 100 * measure_share(name, Path(folder))
            print_rows([Row(f"{name} watched every 100 updates", "not watched", share, "% more", 2.0)])
    for name in [] if sys.argv[1:] == ["shares"] else BUILDERS:
        print_rows(
            [
                Row(f"{name}, 500 sound updates", "-", count_alarms(name, RATE), "alarms", 0),
                Row(f"{name}, rate x 1000", "-", count_alarms(name, 1000 * RATE), "alarms", 1, at_least=True),
            ]
        )


if __name__ == "__main__":
    main()
