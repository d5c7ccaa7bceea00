"""Identify requests of operators, and serve /metrics."""

import ipaddress

import prometheus_client as prometheus
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from mhc_scope.api.contents import describe_texts
from mhc_scope.api.credentials import OPERATOR, require
from mhc_scope.api.dependencies import Service, get_client
from mhc_scope.api.problems import Problem
from mhc_scope.services.identity import ClientIdentity
from mhc_service.metrics_registry import MetricsRegistry
from mhc_service.operator_queries import OperatorQueries
from mhc_service.policy import ServicePolicy

router = APIRouter(tags=["operations"])

# Headers that a proxy adds to a request.
FORWARDED = {"forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"}
METRICS = describe_texts({"text/plain": "Counters and gauges in Prometheus' text format."})


async def require_operator_bearer(request: Request) -> None:
    """Refuse requests of others than operators. The status is 401, for a bearer token, or 403 for a known client.

    Raises
    ------
    Problem
        If the request is neither from an operator's network location nor has an admin's token.
    """
    if is_operator_request(request):
        return
    client = await get_client(request)
    if client.rights != "admin":
        port = request.app.state.settings.private_port
        wanted = f"port {port}" if port else "this machine"
        status, headers = (403, {}) if client.is_known else (401, {"WWW-Authenticate": "Bearer"})
        detail = f"Only requests from {wanted} or with an admin token are answered."
        raise Problem("private", status, detail, headers=headers)


def is_operator_request(request: Request) -> bool:
    """Return whether a request comes through the private port, or without such a port, from this machine and no proxy.

    A scraper of metrics on the same machine therefore needs no setting.
    """
    _, port = request.scope["server"]
    private: int = request.app.state.settings.private_port
    if private:
        return bool(port == private)
    try:
        is_local = request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
    return is_local and not FORWARDED & set(request.headers.keys())


async def identify_holder(request: Request, token: str) -> ClientIdentity:
    """Return the client with this access token.

    Raises
    ------
    InvalidTokenError
        If the token is unknown or has expired.
    """
    policy: ServicePolicy = request.app.state.policy
    return await policy.identify_holder(request.client.host if request.client else "unknown", token)


def get_operator_queries(request: Request) -> OperatorQueries:
    """Return the database queries of the operator's page, from the app's state."""
    return OperatorQueries(request.app.state.database)


@router.get(
    "/metrics",
    dependencies=[Depends(require_operator_bearer)],
    response_class=Response,
    responses={200: {"content": METRICS}},
    openapi_extra=require(OPERATOR),
)
async def get_metrics(request: Request, service: Service) -> Response:
    """Return the counters and gauges of the server for operators (`/metrics`), in the format of Prometheus."""
    state = request.app.state
    metrics_registry: MetricsRegistry = state.metrics_registry
    await metrics_registry.observe(
        service, state.policy.event_streams, get_operator_queries(request), state.encoder, state.settings.data
    )
    return Response(
        prometheus.generate_latest(metrics_registry.registry),
        headers={"Content-Type": prometheus.CONTENT_TYPE_LATEST},
    )
