"""Import what all workers need, in the template process from which they are forked.

Nothing is computed here and no GPU is used, because torch cannot be forked afterwards: a fork does not copy its
threads, and a GPU driver does not serve the copy.
"""

import importlib
import os

# One thread here, because a running thread pool does not survive a fork; each worker sets its own number later.
# PASSIVE, because on a shared machine threads that spin while they wait for another without a core slow a run tenfold.
POOLS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
NEEDED = (
    "mhc_core.cost.rates",
    "mhc_core.checks.recomputation",
    "mhc_core.measure.run",
    "mhc_core.cost.threads",
    "torch.fx.experimental.symbolic_shapes",  # torch imports it with the first backward pass, which takes half a second
)

os.environ.update(POOLS)
for name in NEEDED:
    importlib.import_module(name)
