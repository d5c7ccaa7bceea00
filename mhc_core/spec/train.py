"""The training of a spec."""

from typing import Literal

from pydantic import Field

from mhc_core.spec.part import POSITIVE, SpecPart, control


class TrainSpec(SpecPart):
    """Training on the input: the stack is measured as initialised, trained, and measured again."""

    steps: int = Field(
        0,
        ge=0,
        le=5000,
        title="Steps",
        description="Optimiser steps; 0 measures the stack as initialised.",
        json_schema_extra=control("number", unit="steps", step=1),
    )
    lr: float = Field(
        0.001,
        gt=0.0,
        le=10.0,
        title="Learning rate",
        description="Step size.",
        json_schema_extra=control("number", applies={"train.steps": POSITIVE}),
    )
    optimizer: Literal["adamw", "sgd"] = Field(
        "adamw",
        title="Optimizer",
        description="The update rule: AdamW with betas 0.9 and 0.95, or SGD with momentum 0.9.",
        json_schema_extra=control("select", applies={"train.steps": POSITIVE}),
    )
    weight_decay: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        title="Weight decay",
        description="Decoupled under AdamW, added to the gradient under SGD; not on biases, gates and scalars.",
        json_schema_extra=control("number", applies={"train.steps": POSITIVE}),
    )
    warmup: int = Field(
        0,
        ge=0,
        le=5000,
        title="Warm-up",
        description="Steps over which the learning rate rises linearly to its value.",
        json_schema_extra=control("number", unit="steps", step=1, applies={"train.steps": POSITIVE}),
    )
    clip: float = Field(
        0.0,
        ge=0.0,
        le=1000.0,
        title="Gradient clipping",
        description="Largest norm of the whole gradient; 0 does not clip.",
        json_schema_extra=control("number", applies={"train.steps": POSITIVE}),
    )
    kept: int = Field(
        5,
        ge=2,
        le=50,
        title="Matrices kept",
        description="Steps at which the mixing matrices are kept, evenly spaced from the first to the last.",
        json_schema_extra=control("number", unit="steps", step=1, applies={"train.steps": POSITIVE}),
    )
