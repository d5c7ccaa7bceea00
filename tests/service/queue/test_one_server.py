"""The cases of one server, on PostgreSQL, but for those that lock a file."""

import pytest

from tests.app.cluster.test_one_server import (  # noqa: F401
    test_a_crash_is_tried_once_more_with_the_frames_that_are_there,
    test_a_row_under_way_without_a_job_is_found,
    test_a_second_crash_fails_it_with_the_reason,
    test_a_single_run_waits_for_one_cell_of_anothers_sweep_at_most,
    test_clients_and_their_use_outlive_a_restart,
    test_frames_that_differ_when_it_is_tried_again_fail_it,
)

pytestmark = pytest.mark.full
