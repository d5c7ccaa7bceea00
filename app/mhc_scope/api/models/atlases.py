"""Define the body of an atlas."""

from pydantic import BaseModel, Field


class CutBody(BaseModel):
    """One way of cutting, as an edit names it."""

    what: str
    do: str


class AtlasBody(BaseModel):
    """What every single cut of a run does. Arrays are null until it is done; their axes are cut, layer, stream.

    Over depth the last axis is the source; null where a layer has no such source.
    """

    run: str
    status: str = Field(description="Of the atlas: queued, running or done.")
    done: float = Field(description="Share of the layers that are cut, from 0 to 1.")
    cuts: list[CutBody] = Field(description="Ways of cutting, each for every layer and stream.")
    seeds: int | None = Field(None, description="How many seeds the medians are of.")
    loss_base: float | None = Field(None, description="The loss without a cut; null where it is not finite.")
    loss: list[list[list[float | None]]] | None = Field(None, description="The loss with the cut.")
    output_kl: list[list[list[float | None]]] | None = Field(
        None, description="KL divergence of the output from that without the cut, in nats; null without classes."
    )
    effect_last: list[list[list[float | None]]] | None = Field(
        None, description="Relative distance of the last state from that without the cut."
    )
