"""The spec of a run, from which validation, OpenAPI, the page's controls and the command line follow.

A `RunSpec` is frozen and strict. Each field has bounds, a unit, a help text and a control; `applies` says under which
settings the field has an effect. Fields that do not apply are accepted, so that one spec can be used with several
connections, but ignored: `canonical()` omits them, and the id is a hash of the canonical form. Servers compute the
canonical form, so no code may read a field that does not apply.
"""

import hashlib
import json
import math
from functools import cache, reduce
from operator import getitem
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mhc_core.family import Family, MapSettings
from mhc_core.spec.block import GRID_BLOCKS, MAX_HEADS, BlockSpec
from mhc_core.spec.connection import MAX_STREAMS, ConnectionSpec
from mhc_core.spec.edit import MAX_EDITS, Edited, EditSpec, check_edits
from mhc_core.spec.errors import SpecError, list_divisors, to_spec_errors
from mhc_core.spec.input import InputSpec
from mhc_core.spec.part import POSITIVE, SpecPart, control
from mhc_core.spec.rules import add_rules
from mhc_core.spec.train import TrainSpec

# A part of every id. Raise it if a change affects published numbers, so that old links are computed again.
NUMERICS_VERSION = 5

# The HC gain of this seed is close to the median of 200 seeds at the default noise; a test measures it.
DEFAULT_SEED = 0
UNBOUNDED = "its loss is linear in the output, so training would lower it without end"


class RunSpec(SpecPart):
    """One run: a stack, its input and its seed. `{}` is valid and is mHC in the default comparison."""

    model_config = ConfigDict(json_schema_extra=add_rules)

    depth: int = Field(
        64,
        ge=1,
        le=1024,
        title="Depth",
        description="Layers. A layer is one residual branch: a transformer block is two.",
        json_schema_extra=control("slider", unit="layers", step=1),
    )
    width: int = Field(
        64,
        ge=4,
        le=4096,
        title="Width",
        description="Features per token and stream, C.",
        json_schema_extra=control("slider", unit="features", step=4),
    )
    seed: int = Field(
        DEFAULT_SEED,
        ge=0,
        le=2**32 - 1,
        title="Seed",
        description="Seeds every weight, input and noise draw by name and layer.",
        json_schema_extra=control("number", step=1),
    )
    seeds: int = Field(
        1,
        ge=1,
        le=32,
        title="Seeds",
        description="How many seeds, counted up from the seed: curves get the median and the band of all of them.",
        json_schema_extra=control("number", unit="seeds", step=1, later=True),
    )
    jacobian: int = Field(
        0,
        ge=0,
        le=64,
        title="Jacobian probes",
        description="Pairs of products of the input-output Jacobian with vectors, from which its extreme singular "
        "values are taken; 0 leaves them out.",
        json_schema_extra=control("number", unit="products", step=1, later=True),
    )
    dtype: Literal["float32", "float64", "bfloat16"] = Field(
        "float32",
        title="Precision",
        description="Type of streams and weights.",
        json_schema_extra=control("select"),
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto",
        title="Device",
        description="auto: CUDA where present, else CPU.",
        json_schema_extra=control("select"),
    )
    cka: Literal["unbiased", "biased"] = Field(
        "unbiased",
        title="CKA estimator",
        description="unbiased: near 0 for unrelated layers at any number of samples. biased: as first published "
        "(Kornblith et al. 2019); where samples are fewer than features it calls unrelated layers alike, so the number "
        "is shown next to it.",
        json_schema_extra=control("select", later=True),
    )
    connection: ConnectionSpec = Field(ConnectionSpec(), title="Connection")
    block: BlockSpec = Field(BlockSpec(), title="Block")
    input: InputSpec = Field(InputSpec(), title="Input")
    train: TrainSpec = Field(TrainSpec(), title="Training")
    edits: tuple[EditSpec, ...] = Field(
        (),
        strict=False,
        max_length=MAX_EDITS,
        title="Edits",
        description="Interventions, applied in order: what is cut, replaced or restored, and in which layers. An "
        "edited run is compared with the same run without edits.",
        json_schema_extra=control("edits", later=True),
    )

    @model_validator(mode="after")
    def _check_across_fields(self) -> "RunSpec":
        """Raise SpecError if values of several fields exclude each other."""
        if self.block.kind == "transformer" and self.width % self.block.heads:
            heads, width = self.block.heads, self.width
            text = f"Heads ({heads}) must divide width ({width}). Use {list_divisors(width, MAX_HEADS)}."
            raise SpecError("block.heads", heads, f"a divisor of width {width}", text)
        if self.input.batch * self.input.tokens < 4:
            text = "Batch times tokens must be at least 4 for unbiased CKA."
            wanted = "batch * tokens of at least 4, which unbiased CKA needs"
            raise SpecError("input.tokens", self.input.tokens, wanted, text)
        if self.block.kind in GRID_BLOCKS and math.isqrt(self.input.tokens) ** 2 != self.input.tokens:
            wanted = f"a square number, the grid of a {self.block.kind} block"
            raise SpecError("input.tokens", self.input.tokens, wanted, f"Tokens must be {wanted}.")
        self._check_streams()
        check_edits(self.edits, self.edited)
        self._check_depth_attention()
        self._check_scaling()
        self._check_digits()
        if self.train.steps and self.input.kind in ("gaussian", "correlated"):
            wanted = f"0 where input.kind is {self.input.kind}: {UNBOUNDED}"
            text = f"Training steps must be 0 for {self.input.kind} input: {UNBOUNDED}."
            raise SpecError("train.steps", self.train.steps, wanted, text)
        if self.seeds > 1 and self.train.steps:
            wanted = "1 where train.steps is above 0: bands are of stacks as initialised"
            text = "Seeds must be 1 for a run that trains: bands are of untrained stacks."
            raise SpecError("seeds", self.seeds, wanted, text)
        return self

    def _check_streams(self) -> None:
        """Raise SpecError if the family does not allow this number of streams."""
        n = self.connection.streams
        if (wanted := self.family.rule(n, self.width)) is not None:
            text = f"Streams ({n}) must be {wanted}."
            if self.family.streams == "parts":
                text = f"Streams ({n}) must divide width ({self.width}). Use {list_divisors(self.width, MAX_STREAMS)}."
            raise SpecError("connection.streams", n, wanted, text)

    def _check_depth_attention(self) -> None:
        """Raise SpecError unless the heads of attention over depth divide the width."""
        if not self.family.attends:
            return
        heads = self.connection.depth_heads
        if self.width % heads:
            wanted = f"a divisor of width {self.width}, which the heads over depth split"
            text = f"Heads over depth ({heads}) must divide width ({self.width}). "
            text += f"Use {list_divisors(self.width, MAX_HEADS)}."
            raise SpecError("connection.depth_heads", heads, wanted, text)

    def _check_scaling(self) -> None:
        """Raise SpecError if the depth scaling needs another position of the norm."""
        needed = {"deepnorm": "post", "layernorm_scaling": "pre"}.get(self.block.scaling)
        if needed and self.block.norm_position != needed:
            wanted = f"block.norm_position {needed}, for which it is made"
            text = f"Scaling {self.block.scaling} is made for norm position {needed}. Use that, or another scaling."
            raise SpecError("block.scaling", self.block.scaling, wanted, text)

    def _check_digits(self) -> None:
        """Raise SpecError unless an input of digits has 64 tokens, the pixels of an image."""
        if self.input.kind == "digits" and self.input.tokens != 64:
            wanted = "64 where input.kind is digits, the pixels of an image"
            text = "Tokens must be 64 for digits: the pixels of an image."
            raise SpecError("input.tokens", self.input.tokens, wanted, text)

    def canonical(self) -> dict[str, Any]:
        """Return the spec as plain data without the fields that do not apply. This form is hashed, stored and shown."""
        full = self.model_dump(mode="json")
        return _keep_applying(type(self), full, full)

    @property
    def edited(self) -> Edited:
        """Return the properties of the stack on which valid edits depend."""
        chosen = self.connection
        is_delta = chosen.depth_form != "replace"
        return Edited(chosen.kind, self.family, self.depth, self.streams, chosen.depth_block, is_delta)

    @property
    def family(self) -> Family:
        """Return the family of the connection; if edits change the mixing, without the properties that may not hold."""
        family = self.connection.family
        return family.without_constraints if self.edits_mixing else family

    @property
    def edits_mixing(self) -> bool:
        """Return whether edits change the mixing. Edits of streams do, because they are multiplied into it."""
        return any(edit.what != "branch" for edit in self.edits)

    @property
    def map_settings(self) -> MapSettings:
        """Return the settings of the map from logits to H_res."""
        connection = self.connection
        return MapSettings(connection.streams, connection.sinkhorn_iters, connection.sinkhorn_eps, self.depth)

    @property
    def streams(self) -> int:
        """Return the number of streams of the run: that of the connection's settings, unless the family fixes it."""
        return self.family.fixed_streams or self.connection.streams

    @property
    def output(self) -> str:
        """Return how streams are merged into the output, with `auto` resolved: "mean", "sum", "head", or "read", for a
        read with the H_pre of the last layer.
        """
        if self.connection.reads_previous:
            return "read"
        if self.connection.output != "auto":
            return self.connection.output
        is_mapped_head = self.family.is_mapped and self.connection.init == "deepseek_v4"
        return "head" if is_mapped_head or self.family.has_head else "mean"

    @property
    def maps_coarsely(self) -> bool:
        """Return whether mixing is computed in a coarser type than that of its coefficients, which then sum to 1 only
        up to its rounding.
        """
        chosen = self.connection.mapping_dtype if self.family.is_mapped else "auto"
        return chosen == "bfloat16" or (chosen == "float32" and self.dtype == "float64")

    @property
    def id(self) -> str:
        """Return 20 hex digits of SHA-256 over the canonical form and the numerics version."""
        full = self.model_dump(mode="json")
        kept = _keep_applying(type(self), full, full, for_id=True)
        body = json.dumps([NUMERICS_VERSION, kept], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(body.encode()).hexdigest()[:20]


def parse_spec(body: bytes | str | dict[str, Any]) -> RunSpec:
    """Parse a spec from JSON or from plain data.

    Raises
    ------
    SpecErrors
        With one item per mistake. Invalid JSON or UTF-8 is a mistake of the field `body`.
    """
    try:
        if isinstance(body, dict):
            return RunSpec.model_validate(body)
        return RunSpec.model_validate_json(body)
    except ValidationError as error:
        raise to_spec_errors(error, _build_schema()) from None


@cache
def _build_schema() -> dict[str, Any]:
    """Return the JSON schema of a spec. It is cached, because it takes 10 ms to build; callers must not change it."""
    return RunSpec.model_json_schema()


def _keep_applying(
    part: type[BaseModel], values: dict[str, Any], full: dict[str, Any], *, for_id: bool = False
) -> dict[str, Any]:
    """Return the fields of a spec that apply. For an id, `later` fields with their default value are omitted."""
    kept: dict[str, Any] = {}
    for name, field in part.model_fields.items():
        extra: dict[str, Any] = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        if for_id and extra.get("later") and values[name] == field.default:
            continue
        if field.annotation == tuple[EditSpec, ...]:
            if values[name]:  # an empty list of edits is omitted
                kept[name] = [{key: value for key, value in edit.items() if value is not None} for edit in values[name]]
            continue
        if "applies" in extra and not any(_meet_all(full, conditions) for conditions in extra["applies"]):
            continue
        inner = field.annotation
        nested = isinstance(inner, type) and issubclass(inner, BaseModel)
        kept[name] = _keep_applying(inner, values[name], full, for_id=for_id) if nested else values[name]  # type: ignore
    return kept


def _meet_all(full: dict[str, Any], conditions: dict[str, Any]) -> bool:
    return all(_meets_rule(reduce(getitem, path.split("."), full), rule) for path, rule in conditions.items())


def _meets_rule(value: Any, rule: Any) -> bool:
    return bool(value > 0) if rule == POSITIVE else value in rule


def find_title(path: str) -> str:
    """Return the title of a field by its dotted path, such as `connection.streams`."""
    part: Any = RunSpec
    title = ""
    for name in path.split("."):
        found = part.model_fields[name]
        title, part = found.title or name, found.annotation
    return title
