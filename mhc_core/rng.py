"""Seeds: every random tensor has its own named generator, so nothing depends on the order of construction.

The draw is made on the CPU in float32 whatever the run's device and dtype. A float64 run therefore holds exactly the
weights of its float32 twin, and layer l is the same at any depth and under any connection.
"""

import hashlib

import numpy as np
import torch


def normal(seed: int, name: str, layer: int, *shape: int) -> torch.Tensor:
    """Standard normal values that depend on the arguments alone.

    Parameters
    ----------
    seed: the run's seed.
    name: what the values are for, such as "mlp.in" or "mixing_noise".
    layer: layer index; -1 for what belongs to no layer.
    shape: shape of the result.

    Returns
    -------
    float32 tensor on the CPU.
    """
    digest = hashlib.blake2b(f"{seed}/{name}/{layer}".encode(), digest_size=16).digest()
    # Philox: counter-based, 128-bit key, and the same bits on every machine; torch's CPU generator keeps only 32 bits
    # of its seed and its vectorised Box-Muller differs between instruction sets.
    generator = np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))
    return torch.from_numpy(generator.standard_normal(shape, dtype=np.float32))
