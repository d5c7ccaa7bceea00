"""How many threads a run computes with."""

from mhc_core.cost.counts import count_samples
from mhc_core.spec import RunSpec

# Values of one stream, over all samples. Below this threads wait for each other longer than they compute: on two cores
# two of them made runs 1.1 to 2.2 times slower; at twice this, 1.3 times faster.
MANY_VALUES = 2**20


def choose_threads(spec: RunSpec, available: int) -> int:
    """Return how many threads to use: all that are available if tensors are large, else one."""
    return available if count_samples(spec) * spec.width >= MANY_VALUES else 1
