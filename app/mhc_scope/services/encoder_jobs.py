"""Jobs of encoding processes: read frames from files, and write the requested result or figure to a file."""

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mhc_core.record import codec
from mhc_core.record.result import Result
from mhc_scope.services.results import WRITERS, to_json, to_packed_json

if TYPE_CHECKING:  # Plotly takes half a second to import, and only a process that draws needs it.
    from mhc_core.figures.style import ThemeName

# Level 5, as for small responses. A higher level would not help clients, who wait for the network.
PACK_LEVEL = 5
GZIP_WBITS = 31
# Names of the formats: the endings, and for JSON how its arrays are written.
FORMS = {**WRITERS, "json-nested": to_json, "json-packed": to_packed_json}


@dataclass(frozen=True)
class FigureRequest:
    """A requested figure: the arguments of `mhc_core.figures.figure`, in order, without the results."""

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
        """Return a name that identifies the figure among all figures of the same runs."""
        return f"{self.panel}-{hashlib.sha256(repr(astuple(self)).encode()).hexdigest()[:20]}"

    def draw(self, results: Sequence[Result]) -> bytes:
        """Build the figure that a client requested of these results; return it as Plotly's JSON."""
        from mhc_core import figures

        labels = list(self.labels)
        rest = (self.cursor, self.theme, self.view, self.difference, self.step, self.interval)
        return str(figures.figure(self.panel, results, labels, *rest).to_json()).encode()


def write_result(frames: Sequence[Path], run_id: str, form: str, is_packed: bool, made: Path) -> None:
    """Write the result of a run to a file; the file `frames` has one encoded frame per line."""
    _write_file(FORMS[form](run_id, read_frames(frames[0])), is_packed, made)


def write_figure(frames: Sequence[Path], request: FigureRequest, is_packed: bool, made: Path) -> None:
    """Write a figure of several runs, each a file of frames."""
    _write_file(request.draw([read_frames(path) for path in frames]), is_packed, made)


def read_frames(path: Path) -> Result:
    """Return the columns of a run from a file with its encoded frames."""
    result = Result(keeps_frames=False)
    with path.open("rb") as lines:
        for line in lines:
            result.add(codec.decode_line(line))
    return result


def _write_file(body: bytes, is_packed: bool, made: Path) -> None:
    made.write_bytes(zlib.compress(body, PACK_LEVEL, GZIP_WBITS) if is_packed else body)
