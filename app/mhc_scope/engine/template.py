"""Import what all workers need, once: they are forked from a process that has imported this module.

Nothing is computed here, and no device is used. Torch cannot be forked after either: its threads are not copied, and a
driver refuses to serve the copy.
"""

import importlib
import os

# As many threads as its worker is configured for; one here, because a running pool does not survive a fork. PASSIVE:
# threads that spin while they wait for one without a core slow a run tenfold on a shared machine.
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
