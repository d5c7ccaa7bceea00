"""The cases of retention, on PostgreSQL."""
# ruff: noqa: F403

import pytest

from tests.app.store.test_retention import *

pytestmark = pytest.mark.full
