"""Documents do what they say: the README's lines against a real server, generated pages, and links between pages."""

import json
import re
import runpy
import shlex
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import plotly.io
import pytest
import torch

from mhc_core import __version__
from mhc_service.settings import ServiceSettings
from tests.apart import run_apart
from tests.conftest import Server

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
# Variables of the client, and those that deploy/nginx.conf is filled with.
OTHER_VARIABLES = {
    *("MHC_SCOPE_TOKEN", "MHC_SCOPE_URL"),
    *("MHC_CERTIFICATE", "MHC_CERTIFICATE_KEY", "MHC_LISTEN", "MHC_SERVER_NAME", "MHC_UPSTREAM"),
}


def test_the_settings_page_is_what_the_generator_writes() -> None:
    written = (ROOT / "docs" / "settings.md").read_text()
    assert written == runpy.run_path(str(ROOT / "docs" / "settings.py"))["describe"](), "`make settings` writes it"
    rows = re.findall(r"^\| `(MHC_\w+)` \| `(--[\w-]+)` \|", written, re.MULTILINE)
    assert rows == [(f"MHC_{name.upper()}", f"--{name.replace('_', '-')}") for name in ServiceSettings.model_fields]


def test_documents_name_settings_that_exist() -> None:
    known = {f"MHC_{name.upper()}" for name in ServiceSettings.model_fields} | OTHER_VARIABLES
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "deploy").glob("*.md")]:
        named = set(re.findall(r"\bMHC_[A-Z_]*[A-Z]\b", document.read_text()))
        assert named <= known, f"{document.name} names {sorted(named - known)}"


def test_the_readme_is_short_and_leaves_settings_to_their_page() -> None:
    assert len(README.splitlines()) <= 120
    assert len(set(re.findall(r"MHC_[A-Z_]+[A-Z]", README))) <= 6


def test_the_changelog_says_nothing_twice() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    entries = [" ".join(entry.split()) for entry in re.split(r"^(?:- |#.*)", text, flags=re.MULTILINE)]
    assert sorted(entry for entry, count in Counter(filter(None, entries)).items() if count > 1) == []
    releases = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert releases[0] == "Unreleased"
    assert re.fullmatch(rf"{re.escape(__version__)} \(\d{{4}}-\d\d-\d\d\)", releases[1])


def test_the_python_of_the_readme_runs(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script, own_model = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    here = {"from": "http://127.0.0.1:8000", "to": server.url}
    names: dict[str, Any] = {}
    run_apart(lambda: exec(script.replace(here["from"], here["to"]), names))
    names["client"].close()
    assert names["result"].summary.headline.text in capsys.readouterr().out
    assert len(names["result"].layers["composite_gain_fwd"]) == 64
    assert "Plotly.newPlot" in (tmp_path / "gain.html").read_text()
    from transformers import GPT2Config, GPT2LMHeadModel  # seconds, in every lane that collects this file

    tokens = torch.arange(16).view(2, 8)
    model = GPT2LMHeadModel(GPT2Config(n_layer=2, n_embd=16, n_head=2, vocab_size=32, n_positions=8))
    attached: dict[str, Any] = {"model": model, "batch": {"input_ids": tokens, "labels": tokens}}
    run_apart(lambda: exec(own_model.replace(here["from"], here["to"]), attached))
    assert attached["probe"].result().depth == 2


@pytest.mark.full
def test_rest_lines_work_as_printed(server: Server) -> None:
    lines = [shlex.split(line, comments=True) for line in README.splitlines() if line.startswith("curl ")]
    assert len(lines) == 5
    run_id = ""
    for words in lines:
        address = next(word for word in words if word.startswith("http://"))
        url = address.replace("http://127.0.0.1:8000", server.url).replace("ID", run_id)
        if "POST" in words:
            until = time.monotonic() + 200
            while (answer := httpx.post(url, timeout=60)).json()["verdict"] is None and time.monotonic() < until:
                assert answer.status_code == 202  # a busy machine asks for patience, and to ask again
            assert answer.json()["verdict"] == "holds"
        elif "-d" in words:
            form = {"content-type": "application/x-www-form-urlencoded"}  # what curl -d sends
            answer = httpx.post(url, content=words[words.index("-d") + 1], headers=form)
            run_id = answer.json()["id"]
        else:
            answer = httpx.get(url, timeout=60)
        assert answer.is_success, (address, answer.text)
        if "/figures/" in url:
            assert plotly.io.from_json(answer.text).data


def test_documents_point_at_files_that_exist() -> None:
    for document in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").glob("*.md")):
        text = document.read_text()
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            assert (document.parent / target).exists(), f"{document.name} points at {target}"
        for target in re.findall(
            r"`((?:app|benchmarks|deploy|docs|mhc_(?:core|probe|service)|static|tests)/[\w./-]+)`", text
        ):
            is_pattern = Path(target).stem in ("KIND", "NAME")
            assert is_pattern or (ROOT / target).exists(), f"{document.name} names {target}"


def test_licences_are_those_of_what_is_installed_from_the_lock_file() -> None:
    written = (ROOT / "docs" / "licences.md").read_text()
    assert written == runpy.run_path(str(ROOT / "docs" / "licences.py"))["describe"](), "`make licences` writes it"
    lock = json.loads((ROOT / "static" / "package-lock.json").read_text())["packages"]
    rows = re.findall(r"^\| (\S+) \| (\S+) \| ([^|]+) \|", written, re.MULTILINE)[1:]
    assert len(rows) == 19
    for name, version, licence in rows:
        locked = lock[f"node_modules/{name}"]
        assert (locked["version"], locked["license"]) == (version, licence)
