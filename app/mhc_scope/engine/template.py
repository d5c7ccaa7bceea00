"""What all workers import, once: they are forked from a process that has imported this.

Nothing is computed here, and no device is asked for. Torch cannot be forked after either: its threads do not come
along, and a driver refuses to serve the copy.
"""

import importlib
import os

# As many threads as its worker is told to use; one here, for a pool that has begun does not survive a fork. PASSIVE:
# threads that spin while they wait for one without a core slow a run tenfold on a machine that is shared.
POOLS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
NEEDED = (
    "mhc_core.cost.rates",
    "mhc_core.measure.recomputation",
    "mhc_core.measure.run",
    "mhc_core.cost.threads",
    "torch.fx.experimental.symbolic_shapes",  # torch imports it with the first backward pass, which takes half a second
)

os.environ.update(POOLS)
for name in NEEDED:
    importlib.import_module(name)
