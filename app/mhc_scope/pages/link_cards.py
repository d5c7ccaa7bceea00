"""Build the previews of links (Open Graph), and the pictures that they show."""

import asyncio
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from mhc_core.figures.run_names import KIND_NAMES, label_sources, read_run_names, to_labels, to_sweep_choice
from mhc_core.figures.style import THEMES
from mhc_core.figures.sweep import build_sweep, to_axis_titles
from mhc_core.findings.gains import format_reduced
from mhc_core.metrics import METRICS
from mhc_core.record.reduction import REDUCTIONS, Reduction, to_title
from mhc_core.record.result import Result
from mhc_core.spec import RunSpec
from mhc_scope.api.addresses import to_base
from mhc_scope.api.cached_files import matches_etag
from mhc_scope.api.dependencies import Service, SnapshotById, find_done, load_result
from mhc_scope.api.problems import not_found
from mhc_scope.pages.claims import build_claim
from mhc_scope.pages.link_pictures import (
    REVISION,
    THEME,
    Headlines,
    PictureContent,
    Pictures,
    SweepPicture,
    build_content,
)
from mhc_scope.presets import BY_NAME, KEY, OPENING, Preset, find_unchanged_preset
from mhc_scope.services.runs import Runs
from mhc_scope.services.sweep import SweepGrid
from mhc_scope.services.sweep_values import SweepReader
from mhc_scope.store.runs import StoredRun
from mhc_scope.store.snapshots import StoredSnapshot

router = APIRouter(include_in_schema=False)

SUMMARY = "See how signals travel through deep networks: residual, Hyper-Connections and mHC, layer by layer."
MAX_DESCRIPTION = 300
CACHED = "public, max-age=86400, immutable"  # the runs of a stored view never change


@dataclass(frozen=True)
class Card:
    """The preview of a link: title, description and picture. Addresses are absolute; None if the server's is unknown.

    picture_path: path of the picture on this server, for pages without JavaScript; None if its runs are not done.
    """

    title: str
    description: str
    url: str | None
    picture: str | None
    picture_path: str | None
    alt: str


@dataclass(frozen=True)
class ShownSweep:
    """The sweep that the page of a stored view shows first."""

    sweep: SweepGrid
    metric: str
    reduction: Reduction


async def build_default_preview(request: Request, service: Runs) -> Card:
    """Return the link preview of the first page, with its claim and its picture if its runs are done."""
    runs = await _find_done_runs(service, [spec.id for spec in OPENING.specs])
    is_whole = len(runs) == len(OPENING.specs)
    claim = build_claim(OPENING.labels, runs) if is_whole else None
    title, picture = claim or "mHC Scope", "/picture.png" if is_whole else None
    return _to_card(request, "/", title, SUMMARY, picture, _describe_streams(OPENING.labels, claim))


def find_preset(name: str) -> Preset:
    """Return the preset with a name; raise the problem 404, which lists the names, if there is none."""
    if name not in BY_NAME:
        raise not_found("preset", name, list(BY_NAME))
    return BY_NAME[name]


PresetByName = Annotated[Preset, Depends(find_preset)]


async def build_preset_preview(request: Request, service: Runs, preset: Preset) -> Card:
    """Return the link preview of a preset: title and description, and its picture if its runs are done."""
    are_done = [await service.is_done(spec.id) for spec in preset.specs]
    url = f"/p/{preset.name}"
    picture = f"{url}/picture.png" if all(are_done) else None
    return _to_card(request, url, preset.title, preset.description, picture, _describe_streams(preset.labels))


async def build_snapshot_preview(request: Request, service: Runs, snapshot: StoredSnapshot) -> Card:
    """Return the link preview of a snapshot: its title or a claim, and its note or one finding per run."""
    runs = await _find_done_runs(service, snapshot.runs)
    labels = label_sources([run.source for run in runs], read_run_names(snapshot.state))
    claim, url = build_claim(labels, runs), f"/s/{snapshot.id}"
    title, findings = snapshot.title or claim or ", ".join(labels), _join_findings(labels, runs)
    description = snapshot.note or (f"{claim}. {findings}" if claim and claim != title else findings)
    alt = _describe_streams(labels, claim)
    if (wanted := _find_sweep(snapshot)) is not None:
        kind, x, y = _name_axes(wanted.sweep)
        alt = f"Sweep: {to_title(METRICS[wanted.metric], wanted.reduction)}, of {kind} over {x}" + (y and f" and {y}")
    return _to_card(request, url, title, description, f"{url}/picture.png", alt)


@router.get("/picture.png")
async def get_default_picture(request: Request, service: Service) -> Response:
    """Return the picture in link previews of the first page, as PNG."""
    ids = [spec.id for spec in OPENING.specs]
    return await _respond_with_picture(request, service, "-".join(ids), ids, "", "", None, OPENING.labels)


@router.get("/p/{name}/picture.png")
async def get_preset_picture(request: Request, service: Service, preset: PresetByName) -> Response:
    """Return the picture in link previews of a preset, as PNG."""
    ids = [spec.id for spec in preset.specs]
    return await _respond_with_picture(request, service, "-".join(ids), ids, f"{KEY}={preset.name}", preset.title, None)


@router.get("/s/{snapshot_id}/picture.png")
async def get_snapshot_picture(request: Request, service: Service, stored: SnapshotById) -> Response:
    """Return the picture in link previews of a snapshot, as PNG."""
    return await _respond_with_picture(
        request, service, stored.id, stored.runs, stored.state, stored.title, _find_sweep(stored)
    )


async def _respond_with_picture(
    request: Request,
    service: Runs,
    key: str,
    run_ids: Sequence[str],
    state: str,
    title: str,
    wanted: ShownSweep | None,
    names: Sequence[str] | None = None,
) -> Response:
    """Respond with the link picture of finished runs as PNG, or 304. An unchanged preset shows its own numbers."""
    runs = [await find_done(service, run_id) for run_id in run_ids]
    preset = find_unchanged_preset(state, run_ids)
    key = f"{key}-{preset.name}" if preset else key  # the same runs, but with the preset's numbers
    etag = f'"{key}-{REVISION}"'
    headers = {"ETag": etag, "Cache-Control": CACHED}
    if matches_etag(request, etag):
        return Response(status_code=304, headers=headers)

    async def load_content() -> PictureContent:
        """Read the runs and build the content of the link picture."""
        given = read_run_names(state)
        own = label_sources([run.source for run in runs], given) if preset is None else to_labels(preset.labels, given)
        labels = names or own
        shown = None if wanted is None else await _load_sweep(request.app.state.sweep_values, wanted)
        results = [await load_result(service, run) for run in runs]
        headlines = None if preset is None else _to_headlines(preset, results)
        return build_content(title or build_claim(labels, runs) or "", runs, labels, results, shown, headlines)

    pictures: Pictures = request.app.state.pictures
    return Response(await pictures.get(key, load_content), headers=headers, media_type="image/png")


def _to_headlines(preset: Preset, results: Sequence[Result]) -> Headlines:
    """Return the title of a preset's number, and its text for each run."""
    texts = [format_reduced(preset.metric, preset.read_number(one), one.streams) for one in results]
    return Headlines(preset.number_title, texts)


def _find_sweep(snapshot: StoredSnapshot) -> ShownSweep | None:
    """Return the sweep that a snapshot's page shows; None if it has none or does not show it."""
    wanted = to_sweep_choice(snapshot.state)
    if snapshot.sweep is None or wanted is None or wanted[0] not in METRICS:
        return None
    found = [reduction for reduction in REDUCTIONS if reduction == wanted[1]]
    return ShownSweep(SweepGrid.from_stored(snapshot.sweep), wanted[0], found[0]) if found else None


async def _load_sweep(values: SweepReader, wanted: ShownSweep) -> SweepPicture:
    """Read the numbers of a sweep and build its figure for a link picture."""
    measured = await values.measure(wanted.sweep, wanted.metric, wanted.reduction)
    figure = await asyncio.to_thread(build_sweep, measured.grid, THEMES[THEME])
    kind, x, y = _name_axes(wanted.sweep)
    return SweepPicture(
        figure, to_title(measured.grid.metric, measured.grid.reduction), f"{kind}: {x} →" + (y and f", {y} ↑")
    )


def _name_axes(sweep: SweepGrid) -> tuple[str, str, str]:
    """Return the names of the runs' connection and of the settings on both axes; "" without a y axis."""
    connection = {"kind": RunSpec().connection.kind} | dict(sweep.base.get("connection") or {})
    return KIND_NAMES[connection["kind"]], *to_axis_titles(sweep.x, sweep.y)


def _describe_streams(labels: Sequence[str], claim: str | None = None) -> str:
    """Return the alternative text of a picture."""
    text = f"Size of the signal in each stream, layer by layer: {', '.join(labels)}"
    return f"{text}. Largest gain: {claim}" if claim else text


async def _find_done_runs(service: Runs, run_ids: Sequence[str]) -> list[StoredRun]:
    """Return the runs with these ids that are done."""
    found = [await service.find(run_id) for run_id in run_ids]
    return [run for run in found if run is not None and run.status == "done"]


def _join_findings(labels: Sequence[str], runs: Sequence[StoredRun]) -> str:
    """Join the first finding of each run, with the run's label, to one text."""
    firsts = [(run.summary or {"findings": []})["findings"][:1] for run in runs]
    return " ".join(f"{label}: {found[0]['text']}" for label, found in zip(labels, firsts, strict=True) if found)


def _to_card(request: Request, path: str, title: str, description: str, picture: str | None, alt: str) -> Card:
    """Build the link preview of a page. picture: path of the picture. alt: its alternative text."""
    base = to_base(request, request.app.state.settings.public_base)
    return Card(
        title=title,
        description=textwrap.shorten(description or SUMMARY, MAX_DESCRIPTION, placeholder=" …"),
        url=base and base + path,
        picture=base and picture and base + picture,
        picture_path=picture,
        alt=alt,
    )
