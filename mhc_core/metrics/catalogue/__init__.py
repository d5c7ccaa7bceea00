"""Every metric as words, one family a file, in the order in which they are listed. They need no torch."""

# isort: off
from mhc_core.metrics.catalogue import states  # noqa: F401
from mhc_core.metrics.catalogue import gradients  # noqa: F401
from mhc_core.metrics.catalogue import jacobian  # noqa: F401
from mhc_core.metrics.catalogue import mixing  # noqa: F401
from mhc_core.metrics.catalogue import token_products  # noqa: F401
from mhc_core.metrics.catalogue import logits  # noqa: F401
from mhc_core.metrics.catalogue import mixing_gradients  # noqa: F401
from mhc_core.metrics.catalogue import paths  # noqa: F401
from mhc_core.metrics.catalogue import shares  # noqa: F401
from mhc_core.metrics.catalogue import similarity  # noqa: F401
from mhc_core.metrics.catalogue import training  # noqa: F401
