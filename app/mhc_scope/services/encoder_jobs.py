"""What a process that encodes does: it reads frames from a file and writes what was asked for to another."""

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mhc_core.record import codec
from mhc_core.record.result import Result
from mhc_scope.services.results import WRITERS, to_json, to_packed_json

if TYPE_CHECKING:  # Plotly, which only a process that draws needs, takes half a second to import.
    from mhc_core.figures.style import ThemeName

# Those who take a large file compressed wait for the network; 5 is what small answers get.
PACK_LEVEL = 5
GZIP_WBITS = 31
# What a file is called by: the endings, and for JSON how its arrays are written.
FORMS = {**WRITERS, "json-nested": to_json, "json-packed": to_packed_json}


@dataclass(frozen=True)
class AskedFigure:
    """What `mhc_core.figures.figure` takes beside results, in its order."""

    panel: str
    labels: tuple[str, ...]
    cursor: int
    theme: "ThemeName"
    view: str | None
    difference: bool
    step: int | None
    interval: tuple[int, int] | None

    @property
    def name(self) -> str:
        """Names it among all figures of the same runs."""
        return f"{self.panel}-{hashlib.sha256(repr(astuple(self)).encode()).hexdigest()[:20]}"

    def draw(self, results: Sequence[Result]) -> bytes:
        """The figure as JSON, as `plotly.io.from_json` reads it."""
        from mhc_core import figures

        labels = list(self.labels)
        rest = (self.cursor, self.theme, self.view, self.difference, self.step, self.interval)
        return str(figures.figure(self.panel, results, labels, *rest).to_json()).encode()


def write_result(frames: Sequence[Path], run_id: str, form: str, is_packed: bool, made: Path) -> None:
    """Write a result; the file of `frames` holds one encoded frame a line."""
    _write(FORMS[form](run_id, read_frames(frames[0])), is_packed, made)


def write_figure(frames: Sequence[Path], asked: AskedFigure, is_packed: bool, made: Path) -> None:
    """Write a figure of several runs, each a file of frames."""
    _write(asked.draw([read_frames(path) for path in frames]), is_packed, made)


def read_frames(path: Path) -> Result:
    """Add up the frames of a file."""
    result = Result(keeps_frames=False)
    with path.open("rb") as lines:
        for line in lines:
            result.add(codec.decode_line(line))
    return result


def _write(body: bytes, is_packed: bool, made: Path) -> None:
    made.write_bytes(zlib.compress(body, PACK_LEVEL, GZIP_WBITS) if is_packed else body)
