"""What the browser loads: our own `static/`, and a fixed list of files out of node_modules.

Our files lie under one hash of the whole tree, so that a module's relative imports stay within it; the files of
another's package under its version and one hash of those on the list. So an address never changes its meaning, and
may be kept for ever.
"""

import asyncio
import base64
import gzip
import hashlib
import json
import mimetypes
import re
from dataclasses import dataclass, field
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from app.api.http.problems import not_found

ROOT = Path(__file__).resolve().parents[2]
STATIC, NODE_MODULES = ROOT / "static", ROOT / "static" / "node_modules"

OURS = ("js", "img", "fonts")
# Lists the style sheets; is served with all of them in it, which is one request in place of 18.
STYLE_SHEET = "css/page.css"
IMPORT = re.compile(r'@import "([^"]+)";\n')
TYPES = {".mjs": "text/javascript", ".js": "text/javascript", ".woff2": "font/woff2", ".svg": "image/svg+xml"}
COMPRESSIBLE = (".js", ".mjs", ".css", ".svg", ".json")

# Name in the import map -> file.
MODULES = {
    "preact": "preact/dist/preact.mjs",
    "preact/hooks": "preact/hooks/dist/hooks.mjs",
    "htm": "htm/dist/htm.mjs",
    "htm/preact": "htm/preact/index.mjs",
    "@preact/signals": "@preact/signals/dist/signals.mjs",
    "@preact/signals-core": "@preact/signals-core/dist/signals-core.mjs",
    "eventsource-parser": "eventsource-parser/dist/parse.js",
}
# Name for `asset("vendor/...")` -> file; these are classic scripts.
SCRIPTS = {"plotly": "plotly.js-cartesian-dist-min/plotly-cartesian.min.js"}
# Files that those of the same package import.
PARTS = ("eventsource-parser/dist/errors.js",)


class MissingAsset(RuntimeError):
    """A file that the pages need is not there."""


@dataclass
class _File:
    body: bytes
    media_type: str
    packed: bytes | None = field(default=None)

    def pack(self) -> bytes:
        if self.packed is None:
            self.packed = gzip.compress(self.body, 9, mtime=0)
        return self.packed


class Assets:
    """All files in memory, by address."""

    def __init__(self, static: Path = STATIC, node_modules: Path = NODE_MODULES) -> None:
        self._files: dict[str, _File] = {}
        self._addresses: dict[str, str] = {}
        self._load_static(static)
        vendored = self._load_vendored(node_modules)
        self._addresses |= {f"vendor/{name}": vendored[path] for name, path in SCRIPTS.items()}
        self.import_map = json.dumps({"imports": {name: vendored[path] for name, path in MODULES.items()}})
        digest = hashlib.sha256(self.import_map.encode()).digest()
        self.import_map_hash = "sha256-" + base64.b64encode(digest).decode()

    def address(self, name: str) -> str:
        """Where the page finds a file: a path below static/ such as `js/main.js`, or `vendor/plotly`."""
        if name not in self._addresses:
            raise MissingAsset(f"no asset is named {name!r}; there are {', '.join(sorted(self._addresses))}")
        return self._addresses[name]

    async def respond(self, request: Request) -> Response:
        """Serve one file."""
        file = self._files.get(request.url.path)
        if file is None:
            raise not_found("file", request.url.path)
        headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
        body = file.body
        packs = Path(request.url.path).suffix in COMPRESSIBLE
        if packs and "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            body = await asyncio.to_thread(file.pack)
        return Response(body, headers=headers, media_type=file.media_type)

    def _load_static(self, static: Path) -> None:
        paths = [path for folder in OURS for path in sorted((static / folder).rglob("*")) if path.is_file()]
        bodies = {path.relative_to(static).as_posix(): path.read_bytes() for path in paths}
        bodies[STYLE_SHEET] = inline_imports(static / STYLE_SHEET).encode()
        tree = hashlib.sha256()
        for name, body in bodies.items():
            tree.update(f"{name} {len(body)} ".encode() + body)
        for name, body in bodies.items():
            self._addresses[name] = self._add(f"/static/{tree.hexdigest()[:12]}/{name}", body)

    def _load_vendored(self, node_modules: Path) -> dict[str, str]:
        """Addresses of all files of others, by their path in node_modules."""
        found = {}
        for package, paths in by_package().items():
            try:
                bodies = {path: (node_modules / path).read_bytes() for path in paths}
                version = json.loads((node_modules / package / "package.json").read_bytes())["version"]
            except FileNotFoundError as error:
                raise MissingAsset(f"{error.filename} is missing: `make setup` installs it") from None
            digest = hashlib.sha256(b"".join(bodies.values())).hexdigest()[:12]
            for path, body in bodies.items():
                found[path] = self._add(f"/vendor/{package}@{version}-{digest}{path.removeprefix(package)}", body)
        return found

    def _add(self, address: str, body: bytes) -> str:
        suffix = Path(address).suffix
        media_type = TYPES.get(suffix) or mimetypes.guess_type(address)[0] or "application/octet-stream"
        self._files[address] = _File(body, media_type)
        return address


def inline_imports(sheet: Path) -> str:
    """A style sheet with what it imports in the place of each import."""
    return IMPORT.sub(lambda found: (sheet.parent / found[1]).read_text("utf-8"), sheet.read_text("utf-8"))


def by_package() -> dict[str, list[str]]:
    """The files of others that are served, by their package in node_modules."""
    packages: dict[str, list[str]] = {}
    for path in sorted({*MODULES.values(), *SCRIPTS.values(), *PARTS}):
        parts = path.split("/")
        packages.setdefault("/".join(parts[: 2 if path.startswith("@") else 1]), []).append(path)
    return packages
