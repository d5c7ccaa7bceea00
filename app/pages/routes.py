"""The pages: a template each, with what the browser needs to know before its first request."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse, JSONResponse, Response

from app.api.dependencies import FoundSnapshot, Service, Snapshots, find_run
from app.api.http.problems import TITLES, Problem
from app.api.models.links import API
from app.api.models.snapshots import SnapshotBody
from app.figures import PANELS
from app.figures.style import ThemeName, to_shared_colors
from app.pages.assets import ROOT, Assets
from app.pages.docs import describe
from app.pages.link_cards import build_default_preview, build_snapshot_preview
from app.pages.security import page_policy
from app.pages.view_rules import to_view_rules
from app.presets import DEFAULT
from mhc_core import __version__
from mhc_core.record import codec

router = APIRouter(include_in_schema=False)


class Pages:
    """Renders templates."""

    def __init__(self, assets: Assets) -> None:
        self._assets = assets
        self._environment = Environment(
            loader=FileSystemLoader(ROOT / "templates"), autoescape=True, undefined=StrictUndefined
        )

    def render(self, name: str, *, status: int = 200, frame_ancestors: str = "'none'", **values: Any) -> Response:
        """A page with its policy."""
        html = self._environment.get_template(name).render(
            asset=self._assets.address,
            import_map=Markup(self._assets.import_map),
            version=__version__,
            colors=to_shared_colors(),
            **values,
        )
        policy = page_policy(self._assets.import_map_hash, frame_ancestors=frame_ancestors)
        return HTMLResponse(html, status, headers={"Content-Security-Policy": policy, "Cache-Control": "no-cache"})


def to_boot(page: str, **values: Any) -> Markup:
    """Data for a `<script type="application/json">`: JSON in which nothing can end the element."""
    default = [{"label": label, "id": spec.id} for label, spec in zip(DEFAULT.labels, DEFAULT.specs, strict=True)]
    known = {"page": page, "version": __version__, "default": default, "rules": to_view_rules()}
    text = codec.to_json({**known, **values}).decode()
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def get_pages(request: Request) -> Pages:
    """The pages of this app."""
    pages: Pages = request.app.state.pages
    return pages


def show_problem(request: Request, problem: Problem) -> Response | None:
    """An error as a page, for a browser that opens an address of a page; None for everyone else."""
    is_page = request.method == "GET" and not request.url.path.startswith(f"{API}/")
    if not is_page or "text/html" not in request.headers.get("accept", ""):
        return None
    title = TITLES[problem.kind]
    return get_pages(request).render("problem.html", status=problem.status, title=title, detail=problem.detail)


@router.get("/")
async def get_index(request: Request, service: Service) -> Response:
    """The instrument."""
    card = await build_default_preview(request, service)
    return get_pages(request).render("index.html", boot=to_boot("index"), card=card)


@router.get("/s/{snapshot_id}")
async def get_snapshot_page(request: Request, service: Service, stored: FoundSnapshot) -> Response:
    """A stored view."""
    snapshot = SnapshotBody.build(stored).model_dump(mode="json")
    card = await build_snapshot_preview(request, service, stored)
    boot = to_boot("snapshot", snapshot=snapshot)
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
    """One panel of a snapshot or of a run, to be framed by any site."""
    snapshot = await snapshots.get(name)
    runs = snapshot.runs if snapshot else [(await find_run(service, name)).id]
    shown = SnapshotBody.build(snapshot).model_dump(mode="json") if snapshot else {"state": "", "sweep": None}
    kept = {name: shown[name] for name in ("state", "sweep")}
    boot = to_boot("embed", runs=runs, panel=panel, theme=theme, view=view, **kept)
    title = PANELS[panel].title if panel in PANELS else panel.capitalize()
    return get_pages(request).render("embed.html", frame_ancestors="*", boot=boot, title=title, theme=theme)


@router.get("/docs")
async def get_docs(request: Request) -> Response:
    """The routes, drawn from the OpenAPI description."""
    sections = describe(request.app.openapi())
    return get_pages(request).render("docs.html", sections=sections, problems=TITLES)


async def get_openapi(request: Request) -> Response:
    """The OpenAPI description itself."""
    return JSONResponse(request.app.openapi())
