"""Routes of costs compared: every connection at one stack, and the paper's models on paper."""

from fastapi import APIRouter, Request

from app.api_runs import SPEC_BODY, Service
from app.models import API
from mhc_core.cost import ConnectionCost, compare_connections
from mhc_core.paper_costs import PaperCosts, paper_shapes
from mhc_core.spec import parse_spec

router = APIRouter(prefix=API, tags=["description"])


@router.post("/costs", openapi_extra={"requestBody": SPEC_BODY})
async def post_costs(request: Request, service: Service) -> list[ConnectionCost]:
    """Predicted cost of every connection at the stack of a spec; those whose rules it breaks are left out."""
    return compare_connections(parse_spec(await request.body()), service.engine.rates)


@router.get("/costs/paper")
async def get_paper_costs() -> PaperCosts:
    """What HC and mHC add to the mHC paper's 3B, 9B and 27B models at n = 4: parameters, arithmetic, memory traffic."""
    return paper_shapes()
