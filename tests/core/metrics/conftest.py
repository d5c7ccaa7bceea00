"""Every way of joining layers, measured and traced."""

import pytest

from tests.core.conftest import MIXED, build_spec, measure
from tests.core.metrics.cases import NOISY, Case, traced


@pytest.fixture(params=NOISY, scope="module")
def case(request: pytest.FixtureRequest) -> Case:
    """A connection's name, its measured result, and the states it should describe."""
    connection = NOISY[request.param]
    return request.param, measure(build_spec(connection=connection)), traced(connection)


@pytest.fixture(params=[name for name in NOISY if name in MIXED], scope="module")
def mixed_case(request: pytest.FixtureRequest) -> Case:
    """The same of every connection that mixes streams, be there one."""
    connection = NOISY[request.param]
    return request.param, measure(build_spec(connection=connection)), traced(connection)
