"""What the service adds to the command line."""

from pathlib import Path

from tests.app.test_cli import check_without_reader
from tests.conftest import Call


def test_the_engine_of_a_cluster_can_be_chosen(call: Call) -> None:
    done = call("serve", "--engine", "steam")
    assert (done.returncode, done.stdout) == (2, "")
    assert "MHC_ENGINE, --engine: got 'steam', wanted local or ray\n" in done.stderr


def test_a_reader_of_tokens_that_goes_away_is_no_error(tmp_path: Path) -> None:
    check_without_reader(("token", "list", "--data", "data"), tmp_path)
