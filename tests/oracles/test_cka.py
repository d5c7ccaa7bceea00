"""Our CKA, unbiased and biased, against ckatorch and pytorch-cka, on features with what CKA must not see."""

import numpy as np
import pytest
import torch

from mhc_core.metrics.similarity import CkaRows
from tests.oracles.conftest import draw

pytestmark = pytest.mark.full

LAYERS = 5
# Samples and features: few of either, and as many samples as a run keeps.
SIZES = [(5, 3), (16, 64), (64, 16), (256, 48)]


def features(samples: int, width: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """A random walk over layers, so that neighbours are alike, with an offset and a scale a layer, (K, P, C)."""
    walk = draw(0, LAYERS, samples, width).cumsum(0)
    offset, scale = draw(1, LAYERS, 1, width), torch.logspace(-3, 3, LAYERS, dtype=torch.float64)
    return (scale[:, None, None] * (walk + offset)).to(dtype)


def by_ckatorch(x: torch.Tensor, *, unbiased: bool) -> np.ndarray:
    # Here, not above: every lane of the tests imports this module, and ckatorch brings seaborn along.
    from ckatorch.core import cka_base

    pairs = [[cka_base(a, b, unbiased=unbiased, method="fro_norm").item() for b in x] for a in x]
    return np.array(pairs)


def ours(x: torch.Tensor, block: int = 2, *, biased: bool = False) -> np.ndarray:
    """Rows as they come in a run, layers in blocks, mirrored."""
    rows = CkaRows(len(x), x.shape[1], x.device, x.dtype, most=x.shape[1], biased=biased)
    found = np.zeros((len(x), len(x)))
    for start in range(0, len(x), block):
        new = rows.add(x[start : start + block]).numpy()
        found[start : start + len(new), : new.shape[1]] = new
        found[: new.shape[1], start : start + len(new)] = new.T
    return found


@pytest.mark.parametrize(("samples", "width"), SIZES)
def test_unbiased_as_in_ckatorch(samples: int, width: int) -> None:
    x = features(samples, width)
    difference = np.abs(ours(x) - by_ckatorch(x, unbiased=True)).max()
    print(f"\nP {samples}, C {width}: {difference:.1e}")
    assert difference < 1e-6


@pytest.mark.parametrize(("samples", "width"), SIZES)
def test_unbiased_as_in_pytorch_cka(samples: int, width: int) -> None:
    from cka.hsic import hsic

    # Theirs takes Gram matrices as they are; large offsets would cost it its digits.
    x = features(samples, width)
    x = x - x.mean(1, keepdim=True)
    x = x / torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True)
    gram = x @ x.mT
    cross, own, _ = hsic(gram, gram)
    wanted = (cross / torch.sqrt(own[:, None] * own[None, :])).numpy()
    difference = np.abs(ours(x) - wanted).max()
    print(f"\nP {samples}, C {width}: {difference:.1e}")
    assert difference < 1e-6


@pytest.mark.parametrize(("samples", "width"), SIZES)
def test_biased_as_in_ckatorch(samples: int, width: int) -> None:
    x = features(samples, width)
    difference = np.abs(ours(x, biased=True) - by_ckatorch(x, unbiased=False)).max()
    print(f"\nP {samples}, C {width}: {difference:.1e}")
    assert difference < 1e-6


@pytest.mark.parametrize(("samples", "width"), SIZES)
def test_float32_features_stay_close(samples: int, width: int) -> None:
    x = features(samples, width, torch.float32)
    assert np.abs(ours(x) - by_ckatorch(x.double(), unbiased=True)).max() < 2e-5


@pytest.mark.parametrize(("samples", "wanted"), [(16, 0.948), (64, 0.802), (1024, 0.200)])
def test_only_the_unbiased_one_calls_unrelated_features_unrelated(samples: int, wanted: float) -> None:
    x = torch.stack([draw(2, samples, 256), draw(3, samples, 256)])

    assert ours(x, biased=True)[0, 1] == pytest.approx(wanted, abs=0.01)
    assert abs(ours(x)[0, 1]) < 0.2
