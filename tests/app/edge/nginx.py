"""nginx for tests: `deploy/nginx.conf` with its variables filled in, on a port and in a folder of its own."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.conftest import ROOT, Server

CONFIG = ROOT / "deploy" / "nginx.conf"
PROGRAM = shutil.which("nginx") or next((path for path in ("/usr/sbin/nginx",) if Path(path).exists()), None)
START_S = 20.0
AROUND = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log info;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  include {folder}/site.conf;
}}
"""


@contextmanager
def run_nginx(server: Server, folder: Path, port: int, root_path: str, changes: Mapping[str, str]) -> Iterator[str]:
    """Run it before a server; the address of the site, with the path.

    `changes` are other lines in the place of some of the file.
    """
    assert PROGRAM is not None
    certificate, key = _certify(folder)
    text = fill(
        MHC_UPSTREAM=urlsplit(server.url).netloc,
        MHC_LISTEN=f"127.0.0.1:{port}",
        MHC_SERVER_NAME="localhost",
        MHC_CERTIFICATE=str(certificate),
        MHC_CERTIFICATE_KEY=str(key),
        MHC_ROOT_PATH=root_path,
    )
    for old, new in changes.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (folder / "site.conf").write_text(text)
    (folder / "nginx.conf").write_text(AROUND.format(folder=folder))
    process = subprocess.Popen([PROGRAM, "-p", str(folder), "-c", str(folder / "nginx.conf")])
    try:
        _wait(process, port, folder)
        yield f"https://localhost:{port}{root_path}"
    finally:
        process.terminate()
        process.wait(timeout=20)


def fill(**variables: str) -> str:
    """The file with its variables filled in; all of them, and no others."""
    text = CONFIG.read_text()
    assert set(re.findall(r"\$\{(\w+)\}", text)) == variables.keys()
    return re.sub(r"\$\{(\w+)\}", lambda found: variables[found[1]], text)


def _certify(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    files = ["-addext", names, "-out", str(certificate), "-keyout", str(key)]
    subprocess.run([*command, *files], check=True, capture_output=True, env=os.environ)
    return certificate, key


def _wait(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    log = folder / "error.log"
    raise RuntimeError(f"nginx did not start: {log.read_text() if log.exists() else 'it left no log'}")
