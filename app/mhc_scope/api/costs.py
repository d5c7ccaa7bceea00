"""Serve comparisons of cost: of all connections for one stack, and of the models of the mHC paper."""

import csv
import io
from collections.abc import Sequence

from fastapi import APIRouter, Request
from starlette.responses import Response

from mhc_core.cost.estimates import ConnectionCost, compare_connections
from mhc_core.cost.paper_models import PaperCosts, paper_shapes
from mhc_core.figures.panels.costs import MEASURES, build_costs, to_added
from mhc_core.figures.style import THEMES, ThemeName
from mhc_core.spec import parse_spec
from mhc_scope.api.bodies import SPEC_BODY
from mhc_scope.api.contents import describe_texts
from mhc_scope.api.dependencies import Service
from mhc_scope.api.drawing import respond_figure
from mhc_scope.api.models.figures import FigureBody
from mhc_scope.api.models.links import API

router = APIRouter(prefix=API, tags=["description"])

CSV = describe_texts({"text/csv": "One row a connection; the first line names the columns."})
WITH_SPEC = {"requestBody": SPEC_BODY}


@router.post("/costs", openapi_extra=WITH_SPEC)
async def compare_costs(request: Request, service: Service) -> list[ConnectionCost]:
    """Return the predicted cost of every connection at the stack of a spec; omit those whose rules it breaks."""
    return compare_connections(parse_spec(await request.body()), service.engine.rates)


@router.post("/costs.csv", response_class=Response, responses={200: {"content": CSV}}, openapi_extra=WITH_SPEC)
async def get_costs_csv(request: Request, service: Service) -> Response:
    """Return the predicted costs of all connections as CSV, one row per connection, with what each adds relative to
    the residual connection.
    """
    return Response(to_csv(await compare_costs(request, service)), media_type="text/csv")


@router.post("/costs/figure", response_model=FigureBody, openapi_extra=WITH_SPEC)
async def get_costs_figure(request: Request, service: Service, theme: ThemeName = "light") -> Response:
    """Return what each connection adds in time and memory traffic, as a Plotly figure for `plotly.io.from_json`."""
    costs = await compare_costs(request, service)
    return await respond_figure(lambda: build_costs(costs, THEMES[theme]))


@router.get("/costs/paper")
async def get_paper_costs() -> PaperCosts:
    """Return what HC and mHC add to the mHC paper's 3B, 9B and 27B models at n = 4: parameters, FLOPs, traffic."""
    return paper_shapes()


def to_csv(costs: Sequence[ConnectionCost]) -> str:
    """Write predicted costs as CSV, one row per connection: values, then what each adds relative to residual."""
    added = {measure: to_added(costs, measure) for measure in MEASURES}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["connection", *MEASURES, *(f"{measure}_added" for measure in MEASURES)])
    for row, cost in enumerate(costs):
        ratios = [added[measure][row] for measure in MEASURES]
        writer.writerow([cost.connection, *(getattr(cost, measure) for measure in MEASURES), *ratios])
    return text.getvalue()
