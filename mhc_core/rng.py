"""Random numbers: each random tensor has a separate named generator, so that no draw depends on the order of others.

Values are drawn on the CPU in float32, for any device and dtype of the run. A float64 run therefore has exactly the
weights of the same run in float32, and layer l is the same at any depth and with any connection.
"""

import hashlib
import math
from functools import lru_cache

import numpy as np
import torch

# Draws are cached, because compared stacks, and those computed while dragging a slider, have the same weights; drawing
# them was an eighth of the time of a small run. At most 64 MB are kept.
KEPT_DRAWS = 1024
KEPT_VALUES = 2**14


def normal(seed: int, name: str, layer: int, *shape: int) -> torch.Tensor:
    """Return standard normal values that depend only on the arguments.

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
    """Return values from a uniform distribution over 0 to 1, with the arguments and properties of `normal`."""
    return torch.from_numpy(_open_generator(seed, name, layer).random(shape, dtype=np.float32))


def integers(seed: int, name: str, step: int, bound: int, count: int) -> np.ndarray:
    """Return `count` integers from a uniform distribution over 0 to bound - 1, int64.

    Arguments and properties are those of `normal`, with a training step instead of the layer.
    """
    return _open_generator(seed, name, step).integers(bound, size=count)


def _open_generator(seed: int, name: str, index: int) -> np.random.Generator:
    """Return a random generator whose numbers depend only on seed, name and index, and are the same on all machines."""
    digest = hashlib.blake2b(f"{seed}/{name}/{index}".encode(), digest_size=16).digest()
    # Philox is counter-based, has a 128-bit key, and gives the same bits on all machines. torch's CPU generator uses
    # only 32 bits of its seed, and its vectorised Box-Muller transform differs between instruction sets.
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))
