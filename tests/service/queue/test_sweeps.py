"""The cases of stored sweeps, on PostgreSQL."""
# ruff: noqa: F403

import pytest

from tests.app.store.test_sweeps import *

pytestmark = pytest.mark.full
