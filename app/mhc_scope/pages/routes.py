"""Serve the HTML pages. Each is a template with the data that the browser needs before its first request."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, FunctionLoader, PrefixLoader, StrictUndefined
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from mhc_core import __version__
from mhc_core.figures import PANELS
from mhc_core.figures.style import ThemeName, to_shared_colors
from mhc_core.record import codec
from mhc_scope.api.addresses import to_base
from mhc_scope.api.dependencies import (
    Service,
    SnapshotById,
    Snapshots,
    find_run,
    find_view,
)
from mhc_scope.api.models.links import API, to_address
from mhc_scope.api.models.snapshots import SnapshotBody
from mhc_scope.api.problems import TITLES, Problem
from mhc_scope.api.root_path import to_route
from mhc_scope.files import TEMPLATES, read_file
from mhc_scope.pages.assets import FIRST_MODULE, Assets
from mhc_scope.pages.docs import describe, describe_credentials
from mhc_scope.pages.families import build_entries, describe_setting, group_entries, list_roots
from mhc_scope.pages.initialisations import build_rows, describe_training
from mhc_scope.pages.link_cards import build_default_preview, build_preset_preview, build_snapshot_preview, find_preset
from mhc_scope.pages.security import page_policy
from mhc_scope.pages.view_rules import to_view_rules
from mhc_scope.presets import FORMER
from mhc_scope.services.policy import Policy
from mhc_scope.settings import Settings

router = APIRouter(include_in_schema=False)

CARDS = {"picture": "How the signal travels"}  # titles of cards that are not panels, by key


# Templates of the instrument's page and of presets, and those that they include.
FIRST_TEMPLATES = ("base.html", "index.html", "preset.html", "card.html", "colors.html", "noscript.html")
EMBED = "/embed/"
GONE = (
    "This server has no snapshot and no run named “{name}”. A run that is in no snapshot is kept for a day at most. To "
    "keep a figure, embed it from a snapshot (Share)."
)


class Pages:
    """Renders the templates of pages.

    Parameters
    ----------
    assets: files that the pages load.
    root: root path, below which a proxy shows the server.
    added: folders of add-ons, by the prefix of the paths of their templates, such as `service` of `service/room.html`.
    first_module: the first script of the instrument's page.
    """

    def __init__(
        self,
        assets: Assets,
        root: str = "",
        added: Mapping[str, Path] = MappingProxyType({}),
        first_module: str = FIRST_MODULE,
    ) -> None:
        self._assets, self._root, self._first_module = assets, root, first_module
        own = FunctionLoader(lambda name: read_file(f"{TEMPLATES}/{name}").decode())
        loaders = {name: FileSystemLoader(folder / TEMPLATES) for name, folder in added.items()}
        loader = ChoiceLoader([PrefixLoader(loaders), own])
        self._environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)

    def compile_templates(self) -> None:
        """Compile the templates of the instrument's page, which Jinja would otherwise do at the first request."""
        for name in FIRST_TEMPLATES:
            self._environment.get_template(name)

    def render(self, name: str, *, status: int = 200, frame_ancestors: str = "'none'", **values: Any) -> Response:
        """Return an HTML page as a response, with its security policy in the headers."""
        policy = page_policy(self._assets.import_map_hash, frame_ancestors=frame_ancestors)
        html = self._render_template(name, policy=None, **values)
        headers = {"Content-Security-Policy": policy, "Cache-Control": "no-cache"}
        return HTMLResponse(html, status, headers)

    def render_file(self, name: str, **values: Any) -> str:
        """Return an HTML page as text for a file server, with its security policy in the page."""
        return self._render_template(
            name, policy=page_policy(self._assets.import_map_hash, frame_ancestors=None), **values
        )

    def _render_template(self, name: str, **values: Any) -> str:
        """Render an HTML template with the assets and colours that all pages share."""
        return self._environment.get_template(name).render(
            entry=self._first_module,
            asset=self._assets.address,
            modules=self._assets.modules,
            import_map=Markup(self._assets.import_map),
            version=__version__,
            root=self._root,
            colors=to_shared_colors(),
            **values,
        )


def to_boot(page: str, **values: Any) -> Markup:
    """Encode a page's start data for a `<script type="application/json">`, so that it cannot end the element."""
    known = {"page": page, "root": to_address(""), "version": __version__, "rules": to_view_rules()}
    text = codec.to_json({**known, **values}).decode()
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def describe_workers(request: Request) -> dict[str, float]:
    """Return the number of workers, and the largest predicted time of runs for the spare worker, for the page."""
    settings: Settings = request.app.state.settings
    return {"workers": settings.worker_count, "short_run_s": settings.spare_run_s}


def get_pages(request: Request) -> Pages:
    """Return the renderer of HTML pages from the app's state."""
    return request.app.state.pages


def show_problem(request: Request, problem: Problem) -> Response | None:
    """Return an error as a page, if a browser has requested a page; None for all other requests."""
    path = to_route(request.scope)
    is_page = request.method == "GET" and not path.startswith(f"{API}/")
    if not is_page or "text/html" not in request.headers.get("accept", ""):
        return None
    title, detail, is_framed = TITLES[problem.kind], problem.detail, path.startswith(EMBED)
    if problem.kind == "not-found":
        title = "Page not found"
    if is_framed and problem.kind == "not-found":
        title, detail = "This figure is gone", GONE.format(name=path.removeprefix(EMBED)[:60])
    policy: Policy = request.app.state.policy
    ancestors = "*" if is_framed else "'none'"  # a site that frames the figure may frame its error
    page = get_pages(request).render(
        "problem.html",
        status=problem.status,
        frame_ancestors=ancestors,
        title=title,
        detail=detail,
        is_framed=is_framed,
        sign_in=policy.sign_in_path if problem.kind == "no-token" and not is_framed else None,
        path=to_address(path),
    )
    page.headers.update(problem.headers)
    return page


@router.get("/")
async def get_index(request: Request, service: Service) -> Response:
    """Return the HTML page of the instrument, at `/`."""
    return await render_index(request, service)


async def render_index(request: Request, service: Service, **boot: Any) -> Response:
    """Return the page of the instrument. boot: what an extension adds to its start data."""
    card = await build_default_preview(request, service)
    start = to_boot("index", **describe_workers(request), **boot)
    return get_pages(request).render("index.html", boot=start, card=card)


@router.get("/families")
async def get_families(request: Request) -> Response:
    """Return the page with every family of connections and the numbers of one stack."""
    entries = await run_in_threadpool(build_entries)
    shown: dict[str, Any] = {
        "groups": group_entries(entries),
        "roots": list_roots(entries),
        "setting": describe_setting(),
        "initialisations": await run_in_threadpool(build_rows),
        "training": describe_training(),
    }
    return get_pages(request).render("families.html", **shown)


@router.get("/p/{name}")
async def get_preset_page(request: Request, service: Service, name: str) -> Response:
    """Return the page of the instrument with the runs and the text of a preset, or a redirect from a former name."""
    if name in FORMER:
        return RedirectResponse(FORMER[name], status_code=308)
    preset = find_preset(name)
    card = await build_preset_preview(request, service, preset)
    service.read_ahead([spec.id for spec in preset.specs])
    boot = to_boot("index", preset=preset.to_plain())
    return get_pages(request).render("preset.html", boot=boot, card=card, preset=preset)


@router.get("/s/{snapshot_id}")
async def get_snapshot_page(request: Request, service: Service, stored: SnapshotById) -> Response:
    """Return the page of the instrument with a stored view."""
    snapshot = SnapshotBody.build(stored).model_dump(mode="json")
    card = await build_snapshot_preview(request, service, stored)
    boot = to_boot("snapshot", snapshot=snapshot, **describe_workers(request))
    return get_pages(request).render("snapshot.html", boot=boot, snapshot=snapshot, card=card)


@router.get("/embed/{name}")
async def get_embed_page(
    request: Request,
    name: str,
    service: Service,
    snapshots: Snapshots,
    panel: Annotated[str, Query(max_length=40)] = "gain",
    theme: ThemeName = "light",
    view: Annotated[str, Query(max_length=40)] = "",
) -> Response:
    """Return the page with one panel of a snapshot or of a run, which any site may frame."""
    snapshot = await find_view(snapshots, name)
    runs = snapshot.runs if snapshot else [(await find_run(service, name)).id]
    shown = SnapshotBody.build(snapshot).model_dump(mode="json") if snapshot else {"state": "", "sweep": None}
    kept = {name: shown[name] for name in ("state", "sweep")}
    boot = to_boot("embed", runs=runs, panel=panel, theme=theme, view=view, **kept)
    title = PANELS[panel].title if panel in PANELS else CARDS.get(panel, panel.capitalize())
    return get_pages(request).render("embed.html", frame_ancestors="*", boot=boot, title=title, theme=theme)


@router.get("/docs")
async def get_docs(request: Request) -> Response:
    """Return the page with the routes of the API, from the OpenAPI description."""
    openapi = request.app.openapi()
    shown: dict[str, Any] = {
        "base": to_base(request, request.app.state.settings.public_base) or to_address(""),
        "sections": describe(openapi),
        "credentials": describe_credentials(openapi),
        "problems": TITLES,
    }
    return get_pages(request).render("docs.html", **shown)
