"""The process of one peer: reads one name per line, does that work once, and answers with seconds and a checksum.

The one argument is the type of the device that hyper-connections runs on.

Runs in the peers' environment and imports nothing of ours. The shapes are those of `benchmarks.peers`.
"""

import json
import sys
import time
from collections.abc import Callable

import torch

LAYERS, STREAMS, WIDTH, TOKENS = 8, 4, 64, 128
CKA_LAYERS, CKA_SAMPLES, CKA_PAIRS = 64, 512, 65


DEVICE = torch.device(sys.argv[1] if __name__ == "__main__" else "cpu")


def draw(*shape: int) -> torch.Tensor:
    """Return random numbers that are equal in both processes."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def build_hyper_connections() -> Callable[[], float]:
    """Return a function that runs eight mHC layers without branches, forward and backward."""
    from hyper_connections.manifold_constrained_hyper_connections import ManifoldConstrainedHyperConnections as Layer

    layers = [Layer(STREAMS, dim=WIDTH, layer_index=index).to(DEVICE) for index in range(LAYERS)]
    weights = [weight for layer in layers for weight in layer.parameters()]
    x = draw(1, TOKENS, WIDTH).to(DEVICE).repeat(STREAMS, 1, 1).requires_grad_()

    def run_layers() -> float:
        state = x
        for layer in layers:
            u, add = layer(state)
            state = add(u)
        torch.autograd.grad(state.sum(), [x, *weights], allow_unused=True)
        return float(state.detach().abs().mean())

    return run_layers


def build_pytorch_cka() -> Callable[[], float]:
    """Return a function that computes unbiased CKA of all pairs of 64 layers."""
    from cka import cka_from_features

    features = draw(CKA_LAYERS, CKA_SAMPLES, WIDTH)
    return lambda: float(cka_from_features(features, features).mean())


def build_ckatorch() -> Callable[[], float]:
    """Return a function that computes unbiased CKA of one thirty-second of the 2080 pairs of 64 layers."""
    from ckatorch import cka_base

    features = draw(CKA_LAYERS, CKA_SAMPLES, WIDTH)
    pairs = torch.triu_indices(CKA_LAYERS, CKA_LAYERS).T[:CKA_PAIRS].tolist()
    return lambda: float(sum(cka_base(features[i], features[j], unbiased=True) for i, j in pairs)) / CKA_PAIRS


BUILDERS = {"hyper_connections": build_hyper_connections, "pytorch_cka": build_pytorch_cka, "ckatorch": build_ckatorch}


def main() -> None:
    """Serve until the pipe closes."""
    torch.set_num_threads(1)
    works: dict[str, Callable[[], float]] = {}
    for line in sys.stdin:
        name = line.strip()
        if name not in works:
            works[name] = BUILDERS[name]()
        start = time.perf_counter()
        checksum = works[name]()  # a number on the host: a card has done its work by then
        print(json.dumps({"seconds": time.perf_counter() - start, "checksum": checksum}), flush=True)


if __name__ == "__main__":
    main()
