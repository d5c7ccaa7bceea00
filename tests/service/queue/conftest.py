"""The database of these tests: PostgreSQL, where those of the instrument have SQLite."""

import pytest

from tests.app.store.place import Place
from tests.service.postgresql import PostgreSQL
from tests.service.queue.shared_place import SharedPlace


@pytest.fixture
def place(postgresql: PostgreSQL) -> Place:
    """An empty database."""
    return SharedPlace(postgresql.create_database())
