"""The README is held to what it says: its settings table, and its REST lines against a real server."""

import json
import re
import runpy
import shlex
import time
from pathlib import Path

import httpx
import plotly.io

from app.settings import Settings
from tests.conftest import Server

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def test_settings_table_lists_every_setting_with_its_default_and_meaning() -> None:
    rows = re.findall(r"^\| `(MHC_\w+)` \| `(--[\w-]+)` \| (?:`(.*?)`)? ?\| (.*) \|$", README, re.MULTILINE)
    expected = []
    for name, field in Settings.model_fields.items():
        default = f"{field.default:g}" if isinstance(field.default, float) and field.default < 1e6 else field.default
        default = int(default) if isinstance(default, float) else default
        expected.append((f"MHC_{name.upper()}", f"--{name.replace('_', '-')}", str(default), field.description))
    assert rows == expected


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
    for document in (ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} points at {target}"


def test_licences_are_those_of_what_is_installed_from_the_lock_file() -> None:
    written = (ROOT / "docs" / "licences.md").read_text()
    assert written == runpy.run_path(str(ROOT / "docs" / "licences.py"))["describe"](), "`make licences` writes it"
    lock = json.loads((ROOT / "static" / "package-lock.json").read_text())["packages"]
    rows = re.findall(r"^\| (\S+) \| (\S+) \| ([^|]+) \|", written, re.MULTILINE)[1:]
    assert len(rows) == 18
    for name, version, licence in rows:
        locked = lock[f"node_modules/{name}"]
        assert (locked["version"], locked["license"]) == (version, licence)
