"""The cases of every queue, on that of several servers."""
# ruff: noqa: F403

import pytest

from tests.app.store.test_queue import *

pytestmark = pytest.mark.full
