"""The contract of engines (`app/mhc_scope/engine/contract.py`): cases that every engine must pass."""

import pytest

# Cases are no test files by their names, and their assertions shall explain themselves all the same.
pytest.register_assert_rewrite("tests.contract.engine.cases", "tests.contract.engine.bench")
