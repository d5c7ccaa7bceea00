"""One row a family: what follows from it."""

from typing import get_args

import pytest

from mhc_core.spec import FAMILIES, SpecErrors, parse_spec
from mhc_core.spec.connection import ConnectionKind


def test_every_family_has_a_row_and_a_builder() -> None:
    assert get_args(ConnectionKind) == tuple(FAMILIES)


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_spec_holds_the_streams_that_the_row_allows(kind: str) -> None:
    for n in range(1, 17):
        wanted = FAMILIES[kind].rule(n, 24)
        fields = {"width": 24, "connection": {"kind": kind, "streams": n}}
        if wanted is None:
            parse_spec(fields)
        else:
            with pytest.raises(SpecErrors) as caught:
                parse_spec(fields)
            assert [(error.field, error.got, error.wanted) for error in caught.value.errors] == [
                ("connection.streams", n, wanted)
            ]
