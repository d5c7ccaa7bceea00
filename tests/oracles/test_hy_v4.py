"""Our start `hy_v4` against the parameters that transformers gives `HYV4HyperConnection`."""

import pytest
import torch

from mhc_core.layers.inits import build_preset
from mhc_core.spec import parse_spec

pytestmark = pytest.mark.full

STREAMS, WIDTH = 4, 64


def test_the_start_of_hy_v4_is_that_of_transformers() -> None:
    # Here, not above: every lane of the tests imports this module, and transformers takes four seconds.
    from transformers.models.hy_v4.configuration_hy_v4 import HYV4Config
    from transformers.models.hy_v4.modeling_hy_v4 import HYV4HyperConnection, HYV4PreTrainedModel

    config = HYV4Config(hidden_size=WIDTH, hc_mult=STREAMS)
    theirs = HYV4HyperConnection(config)
    HYV4PreTrainedModel(config)._init_weights(theirs)
    connection = {"kind": "identity_hc", "init": "hy_v4", "streams": STREAMS, "dynamic": True}
    ours = build_preset(parse_spec({"depth": 1, "width": WIDTH, "connection": connection}))
    pre, post = theirs.base.detach().double().split(STREAMS)
    torch.testing.assert_close(ours.b_pre[0], pre, rtol=1e-7, atol=0)
    torch.testing.assert_close(ours.b_post[0], post, rtol=0, atol=0)
    assert config.hc_magnitude == 2
    assert theirs.scale.tolist() == pytest.approx([ours.gate] * 2)
    phi = ours.project(0, 0)
    assert phi.shape == theirs.fn.T.shape
    # The standard deviation of k normal numbers is known to 1 / sqrt(2 k): five of these.
    drawn = phi.numel()
    for spread in (phi.std().item(), theirs.fn.std().item()):
        assert spread == pytest.approx(config.initializer_range, rel=5 / (2 * drawn) ** 0.5)
