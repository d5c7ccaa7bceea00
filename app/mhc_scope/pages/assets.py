"""Serve the files that the browser loads: our `static/`, scripts of add-ons, and a fixed list of files in node_modules.

Addresses of our files contain one hash of the whole tree, so that relative imports of modules stay within it. Addresses
of another package contain its version and one hash of its files on the list. The content of an address therefore never
changes, and may be cached forever. Scripts of add-ons are part of the same tree, and import ours through the import
map.
"""

import asyncio
import base64
import hashlib
import json
import mimetypes
import posixpath
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from starlette.requests import Request
from starlette.responses import Response

from mhc_scope.api.codings import PACKERS, choose_coding
from mhc_scope.api.problems import not_found
from mhc_scope.api.root_path import to_route
from mhc_scope.files import NODE_MODULES, STATIC, MissingAsset, find_file, list_files, read_file, strip_comments
from mhc_scope.pages.pack import MAP_NAME, Pack
from mhc_scope.pages.pack import NAME as PACK_NAME
from mhc_scope.pages.vendored import COMPRESSED, MODULES, NAMED, PARTS, STARTED, by_package

# All addresses below these are files.
FOLDERS = ("/static", "/vendor")
OURS = ("js", "img", "fonts")
# The style sheet that imports all others. It is served with all of them inlined: one request instead of 18.
STYLE_SHEET = "css/page.css"
IMPORT = re.compile(r'@import "([^"]+)";\n')
FIRST_MODULE = "js/app.js"  # first module of the instrument's page
THEME = "js/ui/theme.js"  # a classic script, which runs before the page is shown
# Folder of the unchanged modules, for files that contain modules, such as a saved view. Pages load those of `Pack`.
SOURCES = "source"
# Prefix with which modules of add-ons import ours: `import ... from 'mhc-scope/net/api.js'`.
OWN_PREFIX = "mhc-scope/"
MODULE_IMPORT = re.compile(rf"^(?:import|export) (?:[\w\s{{}},*$]*?from )?'((?:\.|{OWN_PREFIX})[^']+)'", re.MULTILINE)
TYPES = {
    ".mjs": "text/javascript",
    ".js": "text/javascript",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".svg": "image/svg+xml",
}
COMPRESSIBLE = (".js", ".mjs", ".css", ".svg", ".json")
# Files smaller than this, and the pack, are compressed when the server starts, in 40 ms together. On request, each
# would wait for a thread, which takes longer than compressing it.
SMALL_BYTES = 64_000


class _File:
    """The content of one file, unchanged and compressed, by encoding (None for unchanged)."""

    def __init__(self, body: bytes, media_type: str, suffix: str) -> None:
        self._media_type, self._is_compressible = media_type, suffix in COMPRESSIBLE
        self.packed: dict[str | None, bytes] = {None: body}

    @property
    def body(self) -> bytes:
        return self.packed[None]

    def find_coding(self, accepted: str) -> str | None:
        return choose_coding(accepted) if self._is_compressible else None

    def add_packed(self, coding: str) -> None:
        """Compress a file of the page in this encoding, if its type can be compressed."""
        if self._is_compressible:
            self.packed[coding] = PACKERS[coding](self.packed[None])

    def build_response(self, coding: str | None) -> Response:
        """Build the response with a file of the page, which may be cached forever."""
        headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
        if coding is not None:
            headers["Content-Encoding"] = coding
        return Response(self.packed[coding], headers=headers, media_type=self._media_type)


class Assets:
    """All files in memory, by path. Addresses begin with the root path.

    Parameters
    ----------
    root: root path, below which a proxy shows the server.
    added: folders of add-ons, by the prefix of the paths of their scripts, such as `service` of `service/room.js`.
    """

    def __init__(self, root: str = "", added: Mapping[str, Path] = MappingProxyType({})) -> None:
        """Read all files that pages load."""
        self._root = root
        self._files: dict[str, _File] = {}
        self._addresses: dict[str, str] = {}
        tree = self._load_static(added)
        vendored = self._load_vendored()
        self._addresses |= {f"vendor/{name}": vendored[path] for name, path in NAMED.items()}
        self._started = [vendored[path] for path in (*(MODULES[name] for name in STARTED), *PARTS)]
        imports = {name: vendored[path] for name, path in MODULES.items()}
        if added:
            imports[OWN_PREFIX] = f"{root}{tree}/js/"
        self.import_map = json.dumps({"imports": imports})
        digest = hashlib.sha256(self.import_map.encode()).digest()
        self.import_map_hash = "sha256-" + base64.b64encode(digest).decode()

    def address(self, name: str) -> str:
        """Return the address of a file by its name: a path below static/ such as `js/main.js`, or `vendor/plotly`."""
        if name not in self._addresses:
            raise MissingAsset(f"no asset is named {name!r}; there are {', '.join(sorted(self._addresses))}")
        return self._addresses[name]

    def bodies(self) -> dict[str, bytes]:
        """Return the contents of all files of the page by path, which begins with a slash."""
        return {path: file.body for path, file in self._files.items()}

    def modules(self, entry: str) -> list[str]:
        """Return the addresses of the modules that must be loaded before a module runs, for browsers to preload."""
        return [*self._started, *(self._addresses[name] for name in list_modules(self._imports, entry))]

    async def respond(self, request: Request) -> Response:
        """Respond with one file of the page, in an encoding that the client accepts."""
        file = self._files.get(to_route(request.scope))
        if file is None:
            raise not_found("file", request.url.path)
        coding = file.find_coding(request.headers.get("accept-encoding", ""))
        if coding is not None and coding not in file.packed:
            await asyncio.to_thread(file.add_packed, coding)
        return file.build_response(coding)

    def find_compressed(self, path: str, accept_encoding: str) -> Response | None:
        """Return the response for a file that is already compressed in an accepted encoding, else None."""
        file = self._files.get(path)
        coding = None if file is None else file.find_coding(accept_encoding)
        return None if file is None or coding not in file.packed else file.build_response(coding)

    def _load_static(self, added: Mapping[str, Path]) -> str:
        """Load our own files and those of add-ons. Return the path with the hash that precedes their names."""
        paths = [path for folder in OURS for path in list_files(f"{STATIC}/{folder}")]
        bodies = {path.removeprefix(f"{STATIC}/"): read_file(path) for path in paths}
        bodies[STYLE_SHEET] = inline_imports(STYLE_SHEET).encode()
        for name, folder in added.items():
            scripts = sorted((folder / STATIC).glob("*.js"))
            bodies |= {f"{name}/{path.name}": strip_comments(path.read_bytes()) for path in scripts}
        sources = {name: body.decode() for name, body in bodies.items() if name.endswith(".js") and name != THEME}
        bodies |= {f"{SOURCES}/{name.removeprefix('js/')}": body.encode() for name, body in sources.items()}
        first = list_modules({name: list_imports(name, source) for name, source in sources.items()}, FIRST_MODULE)
        built = Pack(sources, [FIRST_MODULE, *first], OWN_PREFIX).build()
        bodies |= {name: text.encode() for name, text in built.items()}
        digest = hashlib.sha256()
        for name, body in bodies.items():
            digest.update(f"{name} {len(body)} ".encode() + body)
        tree = f"/static/{digest.hexdigest()[:12]}"
        for name, body in bodies.items():
            self._addresses[name] = self._add_file(f"{tree}/{name}", body)
        self._imports = {name: list_imports(name, text) for name, text in built.items() if name != MAP_NAME}
        return tree

    def _load_vendored(self) -> dict[str, str]:
        """Load the files of other packages. Return their addresses by path in node_modules."""
        found = {}
        for package, paths in by_package().items():
            bodies = {path: read_file(f"{NODE_MODULES}/{path}") for path in paths}
            version = json.loads(read_file(f"{NODE_MODULES}/{package}/package.json"))["version"]
            digest = hashlib.sha256(b"".join(bodies.values())).hexdigest()[:12]
            for path, body in bodies.items():
                address = f"/vendor/{package}@{version}-{digest}{path.removeprefix(package)}"
                compressed = find_file(f"{NODE_MODULES}/{path}.br") if path in COMPRESSED else None
                found[path] = self._add_file(address, body, compressed)
        return found

    def _add_file(self, path: str, body: bytes, compressed: bytes | None = None) -> str:
        """Store a file, with its compressed body if given. Compress small files and the pack. Return the address."""
        suffix = Path(path).suffix
        media_type = TYPES.get(suffix) or mimetypes.guess_type(path)[0] or "application/octet-stream"
        file = self._files[path] = _File(body, media_type, suffix)
        if compressed is not None:
            file.packed["br"] = compressed
        elif path.endswith(f"/{PACK_NAME}") or (len(body) < SMALL_BYTES and f"/{SOURCES}/" not in path):
            file.add_packed("br")
        return self._root + path


def list_imports(name: str, source: str) -> list[str]:
    """Return the paths of the modules that a module imports statically. name: path of the module."""
    folder = posixpath.dirname(name)
    return [
        f"js/{path.removeprefix(OWN_PREFIX)}"
        if path.startswith(OWN_PREFIX)
        else posixpath.normpath(posixpath.join(folder, path))
        for path in dict.fromkeys(MODULE_IMPORT.findall(source))
    ]


def list_modules(imports: Mapping[str, list[str]], entry: str) -> list[str]:
    """Return the modules that a module imports statically, directly and indirectly, nearest first.

    Parameters
    ----------
    imports: path of a module -> paths of the modules that it imports.
    entry: path of the module.
    """
    found = [entry]
    for name in found:  # grows during the loop
        found += [path for path in imports[name] if path not in found]
    return found[1:]


def inline_imports(sheet: str) -> str:
    """Return a style sheet with each import replaced by its content. sheet: path below static/."""
    folder = PurePosixPath(STATIC, sheet).parent
    text = read_file(f"{STATIC}/{sheet}").decode()
    return IMPORT.sub(lambda found: read_file(f"{folder / found[1]}").decode(), text)
