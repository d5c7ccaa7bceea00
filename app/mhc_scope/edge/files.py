"""Serve static files of the page directly on the connection, without the application.

A first visit loads 15 of them, and each would take a millisecond in the application. Only the simplest requests are
answered here: a single complete GET without headers that could change the response. All others go to the application.
"""

import re
from collections.abc import Callable, Collection

from mhc_scope.api.hosts import is_allowed
from mhc_scope.pages.assets import FOLDERS, Assets
from mhc_scope.pages.security import complete

REQUEST = re.compile(rb"GET (/[A-Za-z0-9@._~/-]+) HTTP/1\.1\r\n((?:[A-Za-z0-9-]+: [\x20-\x7e]*\r\n)+)\r\n")
HEADER = re.compile(rb"([^:]+): ([^\r]*)\r\n")
# Headers that do not change the response for a file, except for its encoding.
HARMLESS = frozenset(
    [
        *("host", "connection", "user-agent", "accept", "accept-encoding", "accept-language", "cookie", "referer"),
        *("cache-control", "pragma", "priority", "dnt", "save-data", "sec-gpc", "sec-purpose"),
        *("sec-fetch-dest", "sec-fetch-mode", "sec-fetch-site", "sec-fetch-user", "sec-fetch-storage-access"),
        *("sec-ch-ua", "sec-ch-ua-mobile", "sec-ch-ua-platform"),
        *("via", "forwarded", "x-real-ip", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"),
    ]
)


class FileAnswers:
    """Builds and caches responses for static files.

    Parameters
    ----------
    assets: the files.
    root: root path below which a proxy shows the server; the proxy may remove it from paths or not.
    names: host names of the server.
    count: called with the folder of each file that is sent, such as `/static`.
    """

    def __init__(self, assets: Assets, root: str, names: Collection[str], count: Callable[[str], None]) -> None:
        self._assets, self._root, self._names = assets, root, frozenset(names)
        self._begins = tuple(f"GET {prefix}{folder}/".encode() for folder in FOLDERS for prefix in {"", root})
        self._count = count
        self._made: dict[tuple[str, str], tuple[bytes, bytes]] = {}

    def find(self, request: bytes) -> tuple[bytes, bytes] | None:
        """Return headers (without the date) and body for a simple request of a static file; None for any other."""
        if not request.startswith(self._begins) or (found := REQUEST.fullmatch(request)) is None:
            return None
        lines = HEADER.findall(found[2])
        headers = {name.lower().decode(): value.strip().decode() for name, value in lines}
        if len(headers) < len(lines) or not headers.keys() <= HARMLESS or "host" not in headers:
            return None
        is_kept_open = headers.get("connection", "keep-alive").lower() == "keep-alive"
        if not is_kept_open or not is_allowed(headers["host"], self._names):
            return None
        path = found[1].decode().removeprefix(self._root)
        answer = self._get_response(path, headers.get("accept-encoding", ""))
        if answer is not None:
            self._count("/" + path.split("/")[1])
        return answer

    def _get_response(self, path: str, accepted: str) -> tuple[bytes, bytes] | None:
        """Return headers and body of a static file, if it is stored compressed in an accepted encoding; else None."""
        response = self._assets.find_compressed(path, accepted)
        if response is None:
            return None
        key = path, response.headers.get("content-encoding", "")
        if key not in self._made:
            complete(response.headers)
            head = b"".join(name + b": " + value + b"\r\n" for name, value in response.raw_headers)
            self._made[key] = head, bytes(response.body)
        return self._made[key]
