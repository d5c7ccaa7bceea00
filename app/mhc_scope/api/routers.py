"""List the routers of /api/v1, in the order in which addresses are matched and documented."""

from mhc_scope.api import (
    atlases,
    composites,
    costs,
    descriptions,
    figures,
    lenses,
    results,
    runs,
    snapshots,
    sweeps,
    traces,
    verifications,
)

# Routes for clients with the right to read.
ROUTERS = (
    sweeps.router,  # before runs, because no run has the id sweep
    runs.router,
    results.router,
    composites.router,
    verifications.router,
    atlases.router,
    lenses.router,
    figures.router,
    traces.router,
    snapshots.router,
    descriptions.router,
    costs.router,
)
# Routes for clients that send the key of a snapshot or a recording instead of an access token.
OWNER_ROUTERS = (traces.owner_router, snapshots.owner_router)
