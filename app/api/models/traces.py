"""Bodies of traces."""

from pydantic import BaseModel, Field

from app.api.models.links import Links, to_links


class TraceBody(BaseModel):
    """Answer to a POST of a trace."""

    id: str = Field(description="Id of the record: a hash of its frames.")
    url: str = Field(description="Link to the page that shows it.")
    frames: int = Field(description="Frames that are stored, `end` among them.")
    links: Links

    @classmethod
    def build(cls, record_id: str, url: str, frames: int) -> "TraceBody":
        """From what was stored."""
        return cls(id=record_id, url=url, frames=frames, links=to_links(record_id))
