"""Write the page as files for any file server: the output of `mhc-scope site`.

The page makes the same requests as with a server, and `static/js/net/site.js` answers them from these files:

    index.html, preset-NAME.html, view-ID.html    pages, in one folder; all addresses in them are relative
    static/, vendor/                              files that pages load, with the same paths as on a server
    api/                                          responses of the API, and the list of runs
    records/ID.frames                             the frames of a run, one per line, gzip

Files are never deleted, so that links to a site stay valid when it is written again.
"""

import gzip
import json
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from markupsafe import Markup

from mhc_core.cost.estimates import ConnectionCost
from mhc_core.cost.paper_models import paper_shapes
from mhc_core.figures import MAX_RUNS, to_response
from mhc_core.figures.panels.costs import build_costs
from mhc_core.figures.style import THEMES, ThemeName
from mhc_core.metrics import to_catalogue
from mhc_core.record import codec
from mhc_core.record.start import StartFrame
from mhc_core.spec import RunSpec, parse_spec
from mhc_scope.api.costs import to_csv
from mhc_scope.api.models.snapshots import SnapshotBody
from mhc_scope.pages.assets import Assets
from mhc_scope.pages.link_cards import MAX_DESCRIPTION, SUMMARY, Card
from mhc_scope.pages.routes import Pages, to_boot
from mhc_scope.presets import OPENING, PRESETS
from mhc_scope.presets.sketches import read_sketches
from mhc_scope.store.snapshots import StoredSnapshot

ROOT = "."
INDEX = "api/runs.json"
KIND = "connection.kind"
Grid = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class WrittenRun:
    """A run of the site: its id, its first frame, and its spec (None for a recording)."""

    id: str
    start: StartFrame
    spec: RunSpec | None


class StaticSite:
    """Writes a site to a folder.

    Parameters
    ----------
    folder: a new or empty folder, or an earlier site.

    Raises
    ------
    FileExistsError
        If the folder contains other files.
    """

    def __init__(self, folder: Path) -> None:
        if folder.exists() and any(folder.iterdir()) and not (folder / INDEX).is_file():
            raise FileExistsError(17, "it is not empty, and holds no site", str(folder))
        self._folder = folder
        self.bytes = 0

    def find_record(self, run_id: str) -> list[bytes] | None:
        """Return the frames of a run in an earlier site in the folder; None if there are none."""
        path = self._folder / to_record_path(run_id)
        return gzip.decompress(path.read_bytes()).splitlines(keepends=True) if path.is_file() else None

    def write_record(self, run_id: str, lines: Sequence[bytes]) -> WrittenRun:
        """Write all frames of a finished run, including its end."""
        start = codec.decode_line(lines[0])
        assert isinstance(start, StartFrame)
        self._write_file(to_record_path(run_id), gzip.compress(b"".join(lines), mtime=0))
        spec = None if start.spec is None else parse_spec(start.spec)
        return WrittenRun(run_id, start, spec)

    def write_answers(self, runs: Iterable[WrittenRun], costs: Mapping[RunSpec, list[ConnectionCost]]) -> None:
        """Write responses of the API, which the page reads as files, and the list of runs."""
        bodies: dict[str, Any] = {
            "schema": RunSpec.model_json_schema(),
            "presets": {"presets": [preset.to_plain() for preset in PRESETS]},
            "previews": {"previews": [{"name": name, "runs": runs} for name, runs in read_sketches().items()]},
            "metrics": {"metrics": to_catalogue()},
            "paper-costs": paper_shapes().model_dump(),
            "costs": [_to_costs(spec, found) for spec, found in costs.items()],
            "runs": [_to_entry(run) for run in runs],
        }
        for theme in get_args(ThemeName):
            for count in range(1, MAX_RUNS + 1):
                bodies[f"panels-{count}-{theme}"] = to_response(count, theme)
        for name, body in bodies.items():
            self._write_file(f"api/{name}.json", codec.to_json(body))

    def write_pages(self, grid: Grid, views: Sequence[StoredSnapshot]) -> None:
        """Write the HTML pages of the static site, and the files that they load."""
        assets = Assets(ROOT)
        pages = Pages(assets, ROOT)
        for path, body in assets.bodies().items():
            self._write_file(path.removeprefix("/"), body)

        def write_page(path: str, title: str, description: str, boot: Markup, **more: Any) -> None:
            """Write one HTML page of the static site with its start data."""
            summary = textwrap.shorten(description or SUMMARY, MAX_DESCRIPTION, placeholder=" …")
            card = Card(title, summary, url=None, picture=None, picture_path=None, alt="")
            self._write_file(path, pages.render_file(boot=boot, card=card, **more).encode())

        common: dict[str, Any] = {"root": ROOT, "site": {"grid": grid}}
        write_page("index.html", "mHC Scope", SUMMARY, to_boot("index", **common), name="index.html")
        for preset in PRESETS:
            boot = to_boot("index", preset=preset.to_plain(), **common)
            path = f"preset-{preset.name}.html"
            write_page(path, preset.title, preset.description, boot, name="preset.html", preset=preset)
        for view in views:
            snapshot = SnapshotBody.build(view).model_dump(mode="json") | {"sweep": None}
            boot = to_boot("snapshot", snapshot=snapshot, **common)
            write_page(f"view-{view.id}.html", view.title, view.note, boot, name="snapshot.html", snapshot=snapshot)
        self._write_file(".nojekyll", b"")  # lets GitHub Pages serve the files unchanged

    def _write_file(self, path: str, body: bytes) -> None:
        """Write a file of the static site, and add its size to `bytes`."""
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(body)
        self.bytes += len(body)


def to_record_path(run_id: str) -> str:
    """Return the path of a run's frames. Its ending is unknown to web servers, so that none decompresses the file."""
    return f"records/{run_id}.frames"


def list_grid(grid: Grid) -> list[RunSpec]:
    """Return the runs of the opening view at every point of a grid, without repetition."""
    found: dict[str, RunSpec] = {}
    for spec in OPENING.specs:
        points: list[dict[str, Any]] = [spec.model_dump(mode="json")]
        for path, values in grid.items():
            points = [_replace_field(point, path, value) for point in points for value in values]
        found |= {made.id: made for made in map(parse_spec, points)}
    return list(found.values())


def _replace_field(spec: dict[str, Any], path: str, value: float) -> dict[str, Any]:
    """Return a copy of a spec with a value at a dotted path; the spec itself if it lacks this field."""
    part, _, leaf = path.rpartition(".")
    if not part:
        return {**spec, leaf: value}
    return {**spec, part: {**spec[part], leaf: value}} if leaf in spec[part] else spec


def to_sent(spec: RunSpec) -> dict[str, Any]:
    """Return a spec as the page sends it: the kind of connection, and all fields that differ from their defaults."""
    schema = RunSpec.model_json_schema()
    sent: dict[str, Any] = {}
    for name, value in spec.model_dump(mode="json", exclude_none=True).items():
        if not isinstance(value, dict):
            if value != schema["properties"][name]["default"]:
                sent[name] = value
            continue
        fields = schema["$defs"][schema["properties"][name]["$ref"].rpartition("/")[2]]["properties"]
        kept = {
            leaf: inner
            for leaf, inner in value.items()
            if f"{name}.{leaf}" == KIND or inner != fields[leaf].get("default")
        }
        if kept:
            sent[name] = kept
    return sent


def _to_costs(spec: RunSpec, costs: Sequence[ConnectionCost]) -> dict[str, Any]:
    """Return the responses of the API's routes of costs for one stack."""
    figures = {theme: json.loads(build_costs(costs, THEMES[theme]).to_json()) for theme in get_args(ThemeName)}
    return {
        "spec": to_sent(spec),
        "costs": [cost.model_dump() for cost in costs],
        "csv": to_csv(costs),
        "figures": figures,
    }


def _to_entry(run: WrittenRun) -> dict[str, Any]:
    """Return the entry of a run in the list of runs. `is_current`: whether this version would compute the same run."""
    sent = None if run.spec is None else to_sent(run.spec)
    is_current = run.spec is not None and run.spec.id == run.id
    return {
        "id": run.id,
        "spec": sent,
        "is_current": is_current,
        "depth": run.start.layers,
        "cost": None if run.start.cost is None else codec.to_fields(run.start.cost),
    }
