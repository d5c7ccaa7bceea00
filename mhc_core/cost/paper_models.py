"""Calculated costs of the mHC paper's models: the arithmetic and the memory traffic that HC and mHC add.

Sizes and printed parameters: mHC (arXiv 2512.24880), Table 5. Traffic is in values per token and layer, without the
branch (Table 2 and section 4.3.1). Symbols: L layers (two per block), n streams, C width.

The table gives vocabulary, blocks, experts, widths, heads, and for attention "MLA", KV rank 512, head dimension 128 and
RoPE dimension 64. A count also needs three assumptions that the table does not give. They come from the models that the
paper names:

- Queries are not compressed, as in DeepSeek-V2-Lite (arXiv 2405.04434, appendix B). With a rank of 512 or 768, the
  active count of 27B would be 9 or 7 % too low; with 1536, that of 3B would be 5 % too high, and its total 1.1 %.
- The dense first block is as wide as all experts that a token visits, as in DeepSeek-V2 (12288 = 8 x 1536) and
  DeepSeek-V3 (18432 = 9 x 2048); DeepSeek-V2-Lite has 10944, not 8 x 1408 = 11264.
- Active parameters include the read-out, which multiplies every token, but not the embedding, of which a token reads
  one row. With neither, active counts would be 8 to 27 % below the printed ones; with both, 8 to 27 % above.

With these assumptions, totals are within 0.2 % of the printed ones and active counts within 0.5 %. Gains of norms are
not counted.
"""

from pydantic import BaseModel, ConfigDict, Field

from mhc_core.cost.shares import format_added

STREAMS = 4
VOCABULARY = 129_280
DENSE_BLOCKS = 1  # number of first blocks without experts
KV_RANK, HEAD_DIM, ROPE_DIM = 512, 128, 64  # of multi-head latent attention
ACTIVE, SHARED = 6, 2  # number of routed experts per token, and of experts that all tokens visit
BYTES = 2  # per value, in bfloat16
SINKHORN_ROUNDS = 20
PUBLISHED_OVERHEAD = 0.067
SOURCE = "mHC, arXiv 2512.24880"


class Shape(BaseModel):
    """One model as the paper prints it."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="What the paper calls it.")
    blocks: int = Field(description="Transformer blocks; each is two layers, attention and experts.")
    width: int = Field(description="Features a token, C.")
    heads: int = Field(description="Attention heads.")
    expert_width: int = Field(description="Hidden width of one expert.")
    routed_experts: int = Field(description=f"Routed experts; a token visits {ACTIVE}, and {SHARED} shared ones.")
    printed_total: float = Field(description="Parameters, as printed.")
    printed_active: float = Field(description="Parameters that a token meets, as printed.")

    @property
    def layers(self) -> int:
        """Return the number of residual branches."""
        return 2 * self.blocks

    @property
    def vocabulary(self) -> int:
        """Return the number of parameters of the embedding, V C; the read-out has as many."""
        return VOCABULARY * self.width

    @property
    def attention(self) -> int:
        """Return the number of parameters of multi-head latent attention in one block (DeepSeek-V2, arXiv 2405.04434,
        section 2.1).

        They are queries with and without RoPE; compressed keys and values, and one RoPE key; their expansion; output.
        """
        queries = self.width * self.heads * (HEAD_DIM + ROPE_DIM)
        compressed = self.width * (KV_RANK + ROPE_DIM)
        expanded = KV_RANK * self.heads * 2 * HEAD_DIM
        return queries + compressed + expanded + self.heads * HEAD_DIM * self.width

    def count_parameters(self, experts: int, vocabularies: int) -> int:
        """Count the parameters of the residual model: attention, a dense first block, experts with their router, and
        vocabulary.

        experts: number of experts to count in each block with a router. vocabularies: 2 for embedding and read-out.
        """
        expert = 3 * self.width * self.expert_width
        routed = self.blocks - DENSE_BLOCKS
        dense = DENSE_BLOCKS * (ACTIVE + SHARED) * expert
        mixture = routed * (experts * expert + self.routed_experts * self.width)
        return self.blocks * self.attention + dense + mixture + vocabularies * self.vocabulary


SHAPES = (
    Shape(name="3B", blocks=12, width=1280, heads=16, expert_width=896, routed_experts=64,
          printed_total=2.97e9, printed_active=6.12e8),
    Shape(name="9B", blocks=18, width=1920, heads=24, expert_width=1280, routed_experts=64,
          printed_total=9.18e9, printed_active=1.66e9),
    Shape(name="27B", blocks=30, width=2560, heads=32, expert_width=1536, routed_experts=72,
          printed_total=2.70e10, printed_active=4.14e9),
)  # fmt: skip


class Added(BaseModel):
    """Cost that a connection adds to the residual model at n = 4; ratios are to the residual model's own cost."""

    parameters: int = Field(description="Mixing parameters of all layers.")
    parameters_ratio: float = Field(description="Over all parameters counted.")
    flops: float = Field(description="Forward, per token: projections, mixing, Sinkhorn.")
    flops_ratio: float = Field(description="Over twice the active parameters counted; attention scores left out.")
    flops_added: str = Field(description="`flops_ratio` as people read it.")
    traffic_bytes: float = Field(description="Read and written per token in bfloat16, all layers, branches excluded.")
    traffic_ratio: float = Field(description="The connection's traffic over the residual connection's.")


class PaperCost(BaseModel):
    """One model: printed next to counted, and what HC and mHC add."""

    shape: Shape
    counted_total: int = Field(description="Attention, dense first block, experts, routers, embedding and read-out.")
    counted_active: int = Field(
        description=f"The same with the {ACTIVE + SHARED} experts that a token visits, and without the embedding."
    )
    residual_flops: float = Field(description="Forward, per token: twice the active parameters counted.")
    residual_traffic_bytes: float = Field(description="Per token: 2 C read and C written a layer.")
    hc: Added = Field(description="Hyper-Connections, dynamic, each operator on its own.")
    mhc: Added = Field(description="mHC, dynamic, the paper's fused kernel for post, residual and merge.")
    recompute_every: float = Field(description="Layers between stored states, sqrt(n L / (n + 2)).")


class PaperCosts(BaseModel):
    """All models, and the figure that the paper gives for time."""

    models: list[PaperCost]
    published_overhead: float = Field(
        PUBLISHED_OVERHEAD, description="Time that mHC at n = 4 adds in the paper's own training system; quoted."
    )
    published_source: str = SOURCE
    single_pass_ratio: float = Field(
        description="Traffic of fused mHC whose layers read with the H_pre of the layer before, over that of mHC whose "
        "layers read with their own."
    )


def paper_shapes() -> PaperCosts:
    """Return the calculated costs of the mHC paper's 3B, 9B and 27B models."""
    return PaperCosts(
        models=[_count_costs(shape) for shape in SHAPES],
        single_pass_ratio=sum(count_fused_traffic(1, own_reads=False)) / sum(count_fused_traffic(1, own_reads=True)),
    )


def count_memory_traffic(kind: str, width: int, n: int = STREAMS) -> tuple[int, int]:
    """Count the values that the connection of one layer reads and writes per token.

    kind: `residual`, `mhc` (with fused kernels), or any other for HC without fusion.
    """
    coefficients = n * n + 2 * n
    if kind == "residual":
        return 2 * width, width
    read, written = (5 * n + 1) * width + coefficients, (3 * n + 1) * width + coefficients
    if kind == "mhc":
        # One kernel for post, residual and merge: reads (n + 1) C for (3 n + 1) C, writes n C for 3 n C.
        read, written = read - 2 * n * width, written - 2 * n * width
    return read, written


def count_fused_traffic(width: int, n: int = STREAMS, *, own_reads: bool) -> tuple[int, int]:
    """Count the values that one layer reads and writes per token, with one fused kernel for the streams.

    If a layer reads with its own H_pre (`own_reads`), the read must wait for it, and a second kernel reads the streams
    again: (3 n + 2) C values in total. With the H_pre of the layer before, the first kernel also computes the branch
    input: (2 n + 2) C.
    """
    read, written = (n + 1) * width, n * width
    return read + n * width * own_reads, written + width


def _count_costs(shape: Shape) -> PaperCost:
    """Return parameters, operations and bytes of one of the paper's models, and what HC and mHC add to them."""
    total = shape.count_parameters(shape.routed_experts + SHARED, vocabularies=2)
    active = shape.count_parameters(ACTIVE + SHARED, vocabularies=1)
    n = STREAMS
    return PaperCost(
        shape=shape,
        counted_total=total,
        counted_active=active,
        residual_flops=2 * active,
        residual_traffic_bytes=_traffic_bytes(shape, "residual"),
        hc=_count_added(shape, "hc", total, active),
        mhc=_count_added(shape, "mhc", total, active),
        recompute_every=(n * shape.layers / (n + 2)) ** 0.5,
    )


def _count_added(shape: Shape, kind: str, total: int, active: int) -> Added:
    """Count what a connection adds to the residual model, in numbers and as ratios."""
    n, width, coefficients = STREAMS, shape.width, STREAMS**2 + 2 * STREAMS
    # HC projects each stream separately, mHC all streams together.
    projection = width * (n + 2) if kind == "hc" else n * width * coefficients
    parameters = shape.layers * (projection + coefficients + (2 if kind == "hc" else 3))
    projected = n * projection if kind == "hc" else projection
    sinkhorn = 0 if kind == "hc" else 4 * n * n * SINKHORN_ROUNDS
    flops = shape.layers * (2 * projected + 2 * width * coefficients + sinkhorn)
    traffic = _traffic_bytes(shape, kind)
    return Added(
        parameters=parameters,
        parameters_ratio=parameters / total,
        flops=flops,
        flops_ratio=flops / (2 * active),
        flops_added=format_added(flops / (2 * active)),
        traffic_bytes=traffic,
        traffic_ratio=traffic / _traffic_bytes(shape, "residual"),
    )


def _traffic_bytes(shape: Shape, kind: str) -> float:
    return BYTES * shape.layers * sum(count_memory_traffic(kind, shape.width))
