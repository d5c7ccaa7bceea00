"""Seeds: every random tensor has its own named generator, so nothing depends on the order of construction.

The draw is made on the CPU in float32 whatever the run's device and dtype. A float64 run therefore holds exactly the
weights of its float32 twin, and layer l is the same at any depth and under any connection.
"""

import hashlib
import math
from functools import lru_cache

import numpy as np
import torch

# Compared stacks have the same weights, and so have the stacks of a drag: drawing them was an eighth of a small run. At
# most 64 MB are kept.
KEPT_DRAWS = 1024
KEPT_VALUES = 2**14


def normal(seed: int, name: str, layer: int, *shape: int) -> torch.Tensor:
    """Return standard normal values that depend on the arguments alone.

    Parameters
    ----------
    seed: the run's seed.
    name: purpose of the values, such as "mlp.in" or "mixing_noise".
    layer: layer index; -1 for values that belong to no layer.
    shape: shape of the result.

    Returns
    -------
    float32 tensor on the CPU.
    """
    draw = _draw_normal if math.prod(shape) <= KEPT_VALUES else _draw_normal.__wrapped__
    return torch.from_numpy(draw(seed, name, layer, shape).copy())


@lru_cache(KEPT_DRAWS)
def _draw_normal(seed: int, name: str, layer: int, shape: tuple[int, ...]) -> np.ndarray:
    return _open_generator(seed, name, layer).standard_normal(shape, dtype=np.float32)


def uniform(seed: int, name: str, layer: int, *shape: int) -> torch.Tensor:
    """Return values from 0 to 1, each as likely, that depend on the arguments alone, as `normal`."""
    return torch.from_numpy(_open_generator(seed, name, layer).random(shape, dtype=np.float32))


def integers(seed: int, name: str, step: int, bound: int, count: int) -> np.ndarray:
    """Return `count` integers from 0 to bound - 1, each as likely, that depend on the arguments alone; int64.

    As `normal`, with a step of training in place of the layer.
    """
    return _open_generator(seed, name, step).integers(bound, size=count)


def _open_generator(seed: int, name: str, index: int) -> np.random.Generator:
    """Return a random generator whose numbers depend on seed, name and index alone, the same on every machine."""
    digest = hashlib.blake2b(f"{seed}/{name}/{index}".encode(), digest_size=16).digest()
    # Philox: counter-based, 128-bit key, and the same bits on every machine; torch's CPU generator keeps only 32 bits
    # of its seed and its vectorised Box-Muller differs between instruction sets.
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))
