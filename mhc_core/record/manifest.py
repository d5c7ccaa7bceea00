"""The manifest of a container: the type of the file, its version, and the size of its contents."""

from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mhc_core.spec import SpecError
from mhc_core.spec.errors import to_plain_error

FORMAT: Literal["mhct"] = "mhct"
VERSION: Literal[1] = 1  # version of containers: their members and this manifest
PROTOCOL = 1  # the latest version of frames that this program can read

Count = Annotated[int, Field(ge=0, lt=2**53)]


class ManifestModel(BaseModel):
    """The model that the trace was taken of, as its start frame says."""

    model_config = ConfigDict(strict=True, extra="forbid")

    name: str
    parameters: Count


class Manifest(BaseModel):
    """`manifest.json`.

    Attributes
    ----------
    mhc_scope: version of the program that wrote it.
    model: None if the record is of a spec.
    frames, size_bytes: lines of `frames.ndjson`, and their bytes.
    """

    model_config = ConfigDict(strict=True, extra="ignore")

    format: Literal["mhct"]
    version: Literal[1]
    protocol: Annotated[int, Field(ge=1, le=PROTOCOL)]
    mhc_scope: Annotated[str, Field(max_length=40)]
    model: ManifestModel | None
    frames: Count
    size_bytes: Count


def parse_manifest(text: bytes) -> Manifest:
    """Parse the manifest of a record's file.

    Raises
    ------
    SpecError
        Names the first invalid key, such as `manifest.version`.
    """
    try:
        return Manifest.model_validate(orjson.loads(text))
    except orjson.JSONDecodeError as error:
        raise SpecError("manifest", str(error), "JSON in UTF-8") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(["manifest", *map(str, first["loc"])])
        raise SpecError(field, _to_got(first), _to_wanted(first)) from None


def _to_got(item: Any) -> Any:
    return "nothing" if item["type"] == "missing" else item["input"]


def _to_wanted(item: Any) -> str:
    """Return what the manifest's field should be, for an error of pydantic."""
    name = item["loc"][-1] if item["loc"] else ""
    known = {
        "format": f"{FORMAT}: a trace that mHC Scope saved",
        "version": f"{VERSION}, the version of containers that this program reads",
        "protocol": f"1 to {PROTOCOL}, the versions of frames that this program reads",
    }
    return known.get(str(name)) or to_plain_error("manifest", item).wanted
