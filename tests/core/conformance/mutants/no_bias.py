"""Logits have no static part."""

from tests.core.conformance.plain import PlainMHC


class NoBias(PlainMHC):
    def __init__(self) -> None:
        super().__init__()
        for name in ("b_pre", "b_post", "b_res"):
            delattr(self, name)
            setattr(self, name, 0.0)
