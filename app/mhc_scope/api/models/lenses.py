"""Define the body of a lens."""

from pydantic import BaseModel, Field


class TokenBody(BaseModel):
    """A token that a row reads out, and its probability."""

    token: str
    probability: float | None


class ProbeBody(BaseModel):
    """What linear probes find of one target: accuracies on held-out data, by row and stream, and that of a guess."""

    target: str
    chance: float
    accuracy: list[list[float | None]]


class LensBody(BaseModel):
    """What the read-out makes of every state of a run. Rows are the embedding and what leaves each layer.

    Divergences are KL from the stack's own output, in nats. All but the first three are null until it is done.
    """

    run: str
    status: str = Field(description="Of the lens: queued, running or done.")
    done: float = Field(description="Share that is done, from 0 to 1.")
    subsets: list[list[int]] | None = Field(None, description="Subsets of the streams, each stream alone first.")
    kl: list[float | None] | None = Field(None, description="Divergence of each state.")
    kl_subsets: list[list[float | None]] | None = Field(
        None, description="By row and subset, with all other streams at 0."
    )
    kl_branches: list[float | None] | None = Field(None, description="Of the output of each layer's branch alone.")
    tokens: list[list[TokenBody]] | None = Field(None, description="The likeliest tokens of one position, by row.")
    context: str | None = Field(None, description="What was read up to that position.")
    target: str | None = Field(None, description="What follows there in the data.")
    probes: list[ProbeBody] | None = Field(None, description="Linear probes of each stream.")
    probed: int | None = Field(None, description="How many tokens the accuracies are of.")
