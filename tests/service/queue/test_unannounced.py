"""The cases of runs whose caller left, on PostgreSQL."""
# ruff: noqa: F403

import pytest

from tests.app.cluster.test_unannounced import *

pytestmark = pytest.mark.full
