"""`mhc-scope trace`: the mixing of a stored model as a file, and in words."""

from pathlib import Path

import httpx
import pytest

from mhc_core.record.result import Result
from mhc_probe.checkpoint import read_checkpoint
from mhc_probe.checkpoint.table import format_layers
from tests.conftest import Call, Server
from tests.probe.checkpoint.stored import draw_connections, write_file


def test_trace_writes_a_record_and_says_what_it_found(call: Call, tmp_path: Path) -> None:
    stored, out = write_file(tmp_path / "model.safetensors", draw_connections(3)), tmp_path / "model.mhct"
    done = call("trace", str(stored), "--out", str(out))
    assert done.returncode == 0, done.stderr
    result = Result.load(out)
    assert result.depth == 6
    said, _, table = done.stdout.partition("\n\n")
    assert said.splitlines() == [finding.text for finding in result.summary.findings]
    assert table.rstrip("\n") == format_layers(result)
    first, _, second = done.stdout.splitlines()[:3]
    assert first.startswith("Read from a checkpoint, without running it.")
    assert second.startswith("The product of up to 6 mixing matrices ")


@pytest.mark.full
def test_a_server_takes_the_record_and_its_numbers_agree(server: Server, tmp_path: Path) -> None:
    result = read_checkpoint(write_file(tmp_path / "model.safetensors", draw_connections(3)))
    link = result.publish(server.url)
    assert link.startswith(server.url)
    record = link.rpartition("trace=")[2]
    checked = httpx.post(f"{server.api}/runs/{record}/verify", timeout=60).json()
    assert checked["verdict"] == "holds"
    assert {"composite_gain_fwd", "h_res_row_sum"} <= {check["metric"] for check in checked["checks"]}
    twin = httpx.get(f"{server.api}/runs/{record}/twin", timeout=60).json()["spec"]
    assert (twin["depth"], twin["connection"]["streams"]) == (result.depth, result.streams)


@pytest.mark.sample(4)
@pytest.mark.parametrize(
    ("name", "out", "said"),
    [
        ("model.safetensors", "model.txt", "--out: got 'model.txt', wanted a name that ends in .mhct"),
        ("model.safetensors", "nowhere/model.mhct", "wanted a folder that exists"),
        ("nowhere.safetensors", "model.mhct", "nowhere.safetensors: No such file"),
        (
            "short.safetensors",
            "model.mhct",
            "short.safetensors: header: got 'a file of 100 bytes', wanted 570 bytes or more: the file is incomplete\n",
        ),
        (
            "readme.txt",
            "model.mhct",
            "readme.txt: header: got text that starts with 'Weights of a model', wanted a safe",
        ),
    ],
)
def test_mistakes_are_named(call: Call, name: str, out: str, said: str, tmp_path: Path) -> None:
    write_file(tmp_path / "model.safetensors", draw_connections(1))
    (tmp_path / "short.safetensors").write_bytes((tmp_path / "model.safetensors").read_bytes()[:100])
    (tmp_path / "readme.txt").write_text("Weights of a model")
    done = call("trace", str(tmp_path / name), "--out", str(tmp_path / out))
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / out).exists()
