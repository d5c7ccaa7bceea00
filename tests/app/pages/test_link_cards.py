"""What previews of links see: tags with absolute addresses, and a picture drawn from the stored runs."""

import io
import re
from collections.abc import Iterator
from html import unescape
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from plotly.colors import sample_colorscale, unlabel_rgb
from pydantic import ValidationError
from starlette.requests import Request

from mhc_core.figures.methods import METHODS
from mhc_core.figures.style import THEMES
from mhc_core.record.source import SpecSource
from mhc_scope.api.addresses import to_base
from mhc_scope.pages.claims import build_claim
from mhc_scope.pages.link_pictures import STREAMS, SWEEP_BOX
from mhc_scope.pages.raster import Canvas, measure, shorten
from mhc_scope.pages.raster_picture import UNIT_PX, place_lanes, to_ribbons
from mhc_scope.presets import OPENING
from mhc_scope.settings import Settings
from tests.app.api.test_sweeps import SWEEP, finish
from tests.conftest import Server, StartServer, compute

TAG = re.compile(r"""<(?:meta|link) (?:property|name|rel)="([\w:]+)" (?:content|href)="([^"]*)">""")
CLAIM = "HC ×790, mHC ×1.00, same 64 layers"
TITLE = '"quoted" & <script>alert(1)</script>'


@pytest.fixture(scope="module")
def web(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=120) as http:
        yield http


def store(http: httpx.Client, specs: list[dict[str, Any]], title: str = "", state: str = "", note: str = "") -> str:
    """A snapshot of these runs; its id."""
    with httpx.Client(base_url=http.base_url.join("/api/v1"), timeout=120) as api:
        runs = [compute(api, spec) for spec in specs]
        name: str = api.post("/snapshots", json={"runs": runs, "title": title, "state": state, "note": note}).json()[
            "id"
        ]
    return name


def small(kind: str, **connection: Any) -> dict[str, Any]:
    return {"depth": 6, "width": 16, "input": {"tokens": 16}, "connection": {"kind": kind, **connection}}


def read_tags(http: httpx.Client, path: str, **headers: str) -> dict[str, str]:
    page = http.get(path, headers=headers).text
    return {name: unescape(value) for name, value in TAG.findall(page)}


def read_picture(answer: httpx.Response) -> np.ndarray:
    """Pixels (H, W, 3)."""
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    image = Image.open(io.BytesIO(answer.content))
    image.load()
    assert (image.format, image.size, image.mode) == ("PNG", (1200, 630), "RGB")
    return np.asarray(image)


def count(pixels: np.ndarray, color: str) -> int:
    """Pixels of exactly that colour."""
    wanted = [int(color[start : start + 2], 16) for start in (1, 3, 5)]
    return int(np.all(pixels == wanted, axis=2).sum())


def count_near(pixels: np.ndarray, color: str) -> int:
    """Pixels of about that colour: a thin ribbon has soft edges alone."""
    wanted = [int(color[start : start + 2], 16) for start in (1, 3, 5)]
    return int(np.all(abs(pixels.astype(int) - wanted) < 40, axis=2).sum())


@pytest.mark.full
@pytest.mark.attack("XSS")
def test_a_stored_view_tells_its_title_findings_and_picture(web: httpx.Client, server: Server) -> None:
    name = store(web, [small("residual"), small("hc")], TITLE, "v=1&B.name=ours+%26+<b>")
    tags = read_tags(web, f"/s/{name}")
    assert tags["og:title"] == TITLE
    claim = r"B ours & <b> ×[\d.]+, same 6 layers"
    description = tags["og:description"]
    assert re.match(rf"{claim}\. A Residual: .* B ours & <b>: The product of up to 6 unconstrained", description)
    assert tags["description"] == tags["og:description"]
    assert len(tags["og:description"]) <= 300
    assert tags["og:url"] == tags["canonical"] == f"{server.url}/s/{name}"
    assert tags["og:image"] == f"{server.url}/s/{name}/picture.png"
    assert (tags["og:image:width"], tags["og:image:height"]) == ("1200", "630")
    alt = "Size of the signal in each stream, layer by layer: A Residual, B ours & <b>. Largest gain: "
    assert re.fullmatch(re.escape(alt) + claim, tags["og:image:alt"])
    assert tags["twitter:card"] == "summary_large_image"
    page = web.get(f"/s/{name}").text
    assert "<script>alert" not in page
    assert "ours & <b>" not in page


@pytest.mark.full
def test_the_picture_has_the_runs_colours_and_changes_with_the_run(web: httpx.Client) -> None:
    first, second = (store(web, [small("residual"), small("hc", noise=noise)], "the same") for noise in (0.3, 1.0))
    pictures = [read_picture(web.get(f"/s/{name}/picture.png")) for name in (first, second)]
    theme = THEMES["dark"]
    for pixels in pictures:
        left, top, width, height = STREAMS
        ribbons = pixels[top : top + height, left : left + width]
        assert count_near(ribbons, METHODS["residual"].dark) > 1000
        assert count_near(ribbons, METHODS["hc"].dark) > 300
        assert count(pixels, METHODS["mhc"].dark) == 0, "there is no run of mHC"
        assert count(pixels, theme.card) > pixels.shape[0] * pixels.shape[1] / 2
    assert np.any(pictures[0][180:580, 300:900] != pictures[1][180:580, 300:900])
    assert np.array_equal(pictures[0][70:150], pictures[1][70:150]), "both have the same title"


@pytest.mark.full
def test_a_loud_run_bursts_its_lanes_and_the_others_stay_in_front_of_it(web: httpx.Client) -> None:
    specs = [small(kind, noise=1.0) | {"depth": 40} for kind in ("hc", "mhc")]
    pixels = read_picture(web.get(f"/s/{store(web, specs, 'loud')}/picture.png"))
    left, top, width, height = STREAMS
    ends = pixels[top : top + height, left + width - 60 : left + width]
    calm = place_lanes([4, 4], STREAMS)[0]
    assert count_near(ends, METHODS["mhc"].dark) > 60 * UNIT_PX, "in front"
    paler = ends[..., 0].astype(int) > 180
    assert paler[round(calm.middles[1] + calm.height / 2 - top)].mean() > 0.9, "HC covers the gap between mHC's streams"
    assert not np.any(paler[:, :1] & (np.abs(np.arange(height)[:, None] - (calm.middles[0] - top)) < 1)), "not mHC"
    outside = np.concatenate([pixels[:top].reshape(-1, 3), pixels[top + height :].reshape(-1, 3)])
    assert np.all(np.abs(outside.astype(int) - [244, 180, 120]).max(1) > 40), "cut off at the edge"


@pytest.mark.full
def test_a_view_with_an_open_sweep_shows_it(web: httpx.Client, server: Server) -> None:
    spec = small("hc", noise=0.5)
    grid = {
        "spec": spec,
        "x": {"field": "depth", "values": [2, 8, 64]},
        "y": {"field": "connection.streams", "values": [2, 4]},
    }
    with httpx.Client(base_url=server.api, timeout=120) as api:
        run, sweep = compute(api, spec), api.post(SWEEP, json=grid).json()["id"]
        finish(api, sweep)
        values = api.get(f"{SWEEP}/{sweep}/values").json()["log10"]
        body = {"runs": [run], "title": "a sweep", "sweep": sweep}
        states = (
            "v=1&map=A&map.x=depth,2,8,64",
            "v=1&map=A&map.metric=act_rms&map.reduce=last",
            "v=1",
            "map=A&map.metric=x",
        )
        names = [api.post("/snapshots", json=body | {"state": state}).json()["id"] for state in states]
    gain, activation, none, unknown = (read_picture(web.get(f"/s/{name}/picture.png")) for name in names)
    alts = [read_tags(web, f"/s/{name}")["og:image:alt"] for name in names]
    assert alts[0] == "Sweep: Gain, forward, largest over layers, of HC over Depth and Streams"
    assert alts[1] == "Sweep: Activation, last layer, of HC over Depth and Streams"
    assert alts[2] == alts[3]
    assert alts[2].startswith("Size of the signal in each stream, layer by layer: A HC. Largest gain: A HC ×")
    assert np.array_equal(none[200:580, 560:], unknown[200:580, 560:])
    assert np.any(gain[200:580, 560:] != activation[200:580, 560:])
    # The row of the first y below, the columns from left to right, in the colours of the figure.
    theme, (left, top, width, height) = THEMES["dark"], SWEEP_BOX
    bound = max(abs(value) for row in values for value in row)
    for row, column in ((0, 0), (0, 2), (1, 1), (1, 2)):
        share = (values[row][column] + bound) / (2 * bound)
        wanted = unlabel_rgb(sample_colorscale(theme.signed_scale, share)[0])
        x, y = left + (column + 0.1) * width / 3, top + (1.5 - row - 0.3) * height / 2
        assert gain[round(y), round(x)] == pytest.approx(wanted, abs=1.5)


@pytest.mark.full
def test_a_note_is_what_is_told_of_a_view(web: httpx.Client) -> None:
    name = store(web, [small("hc")], "ours", note='Look at "layer 5" & <b>')
    tags = read_tags(web, f"/s/{name}")
    assert (tags["og:title"], tags["og:description"]) == ("ours", 'Look at "layer 5" & <b>')
    long = store(web, [small("hc")], "ours", note="word " * 200)
    assert read_tags(web, f"/s/{long}")["og:description"].endswith("word …")


@pytest.mark.full
def test_the_picture_is_kept_by_those_who_have_it(web: httpx.Client) -> None:
    name = store(web, [small("mhc")])
    answer = web.get(f"/s/{name}/picture.png")
    assert "immutable" in answer.headers["cache-control"]
    again = web.get(f"/s/{name}/picture.png", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert web.get(f"/s/{name}/picture.png").content == answer.content


@pytest.mark.full
def test_what_overflows_is_drawn(web: httpx.Client) -> None:
    specs = [small("hc", noise=10), small("mhc", noise=3), small("kromhc", noise=3), small("none")]
    name = store(web, [spec | {"depth": 300} for spec in specs], "漢字 × 10⁻³ → √")
    pixels = read_picture(web.get(f"/s/{name}/picture.png"))
    left, top, width, height = STREAMS
    ribbons = pixels[top : top + height, left : left + width]
    for kind in ("hc", "mhc", "kromhc", "none"):
        assert count_near(ribbons, METHODS[kind].dark) > 300, kind


@pytest.mark.full
def test_there_is_no_picture_of_what_is_not_there(web: httpx.Client) -> None:
    assert web.get("/s/nothing/picture.png").status_code == 404
    assert web.get("/s/nothing").status_code == 404


@pytest.mark.full
def test_the_first_page_has_a_picture_once_its_runs_are_computed(launch: StartServer) -> None:
    server = launch("--workers", "1", "--public-url", "https://scope.example/tools/")
    with httpx.Client(base_url=server.url, timeout=120) as http:
        tags = read_tags(http, "/")
        assert (tags["og:title"], tags["og:url"]) == ("mHC Scope", "https://scope.example/tools/")
        assert "<img" not in http.get("/").text
        assert (tags["twitter:card"], "og:image" in tags) == ("summary", False)
        assert http.get("/picture.png").status_code == 404
        with httpx.Client(base_url=server.api, timeout=120) as api:
            for spec in OPENING.specs:
                compute(api, spec.canonical())
        tags = read_tags(http, "/", Host="127.0.0.1:1")
        assert tags["og:image"] == "https://scope.example/tools/picture.png", "the operator's word counts"
        assert tags["og:title"] == CLAIM
        read_picture(http.get("/picture.png"))
        page = http.get("/").text
        without = page[page.index("<noscript>") : page.index("</noscript>")]
        assert f"<h1>{CLAIM}</h1>" in without
        assert 'src="/tools/picture.png"' in without


@pytest.mark.full
def test_a_fresh_server_has_the_claim_and_the_picture_of_the_first_page(launch: StartServer) -> None:
    server = launch("--precompute", ready="/livez")
    with httpx.Client(base_url=server.url, timeout=60) as http:
        assert read_tags(http, "/")["og:title"] == CLAIM
        pixels = read_picture(http.get("/picture.png"))
        left, top, width, height = STREAMS
        ribbons = pixels[top : top + height, left : left + width]
        for kind in ("residual", "hc", "mhc"):
            assert count_near(ribbons, METHODS[kind].dark) > 5000, kind


def test_a_claim_names_the_gains_of_runs_that_mix_streams() -> None:
    def of(kind: str, log10: float | None, depth: int = 8) -> Any:
        spec = {"depth": depth, "connection": {"kind": kind}}
        numbers = {"gain_fwd_log10": log10}
        summary = {"headline": {"text": ""}, "findings": [{"key": "connection", "numbers": numbers}]}
        return SimpleNamespace(source=SpecSource(spec=spec), spec=spec, summary=summary)

    assert build_claim(["R", "H", "M"], [of("residual", 0.0), of("hc", 2.0), of("mhc", 0.0)]) == (
        "H ×100, M ×1.00, same 8 layers"
    )
    assert build_claim(["H"], [of("hc", 2.0)]) == "H ×100, 8 layers"
    assert build_claim(["H", "D"], [of("hc", 2.0), of("hc", 30.0, 99)]) == "H ×100, D ×1.0×10³⁰"
    assert build_claim(["R"], [of("residual", 0.0)]) is None
    assert build_claim(["H"], [of("hc", None)]) is None


@pytest.mark.sample(4)
@pytest.mark.parametrize(
    ("host", "base"),
    [
        ("scope.example:8000", "http://scope.example:8000"),
        ("[::1]:80", "http://[::1]:80"),
        ('evil"><script>', None),
        ("a.example/path", None),
        ("user@a.example", None),
        ("", None),
        ("x" * 300, None),
    ],
)
def test_a_host_that_is_none_makes_no_address(host: str, base: str | None) -> None:
    scope = {"type": "http", "scheme": "http", "path": "/", "server": ("h", 1), "headers": [(b"host", host.encode())]}
    assert to_base(Request(scope), "") == base
    assert to_base(Request(scope), "https://public.example") == "https://public.example"


@pytest.mark.attack("rebinding")
def test_a_strange_host_gets_no_page(web: httpx.Client) -> None:
    for host in ("a.example/<b>", "evil.example"):
        answer = web.get("/", headers={"Host": host})
        assert (answer.status_code, answer.json()["title"]) == (421, "Unknown host name")
        assert "og:url" not in answer.text


@pytest.mark.sample(4)
@pytest.mark.parametrize("url", ["scope.example", "ftp://scope.example", "https://", "https://a.example/?x=1"])
def test_a_public_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="wanted an address"):
        Settings(public_url=url)


def test_texts_fit_and_say_that_there_is_more() -> None:
    assert shorten("one two", 18, 10_000) == "one two"
    short = shorten("unbreakable" * 9, 18, 100)
    assert short.endswith("…")
    assert measure(short, 18) <= 100


@pytest.mark.full
def test_dashes_leave_gaps_and_solid_lines_none() -> None:
    covered = {}
    for dash in ("solid", "2px,3px", "9px,3px,2px,3px"):
        canvas = Canvas(200, 20, THEMES["dark"])
        canvas.draw_line([(10, 10), (100, 10), (190, 10)], "#ffffff", 4, dash)
        row = np.asarray(canvas.finish())[10, 10:190, 0] > 128
        covered[dash] = row.mean()
        assert row[:2].all(), "a line begins with a dash"
    assert covered["solid"] == 1
    assert covered["2px,3px"] == pytest.approx(2 / 5, abs=0.14)
    assert covered["9px,3px,2px,3px"] == pytest.approx(11 / 17, abs=0.14)


@pytest.mark.full
def test_a_ribbon_is_as_wide_as_the_stream_is_large_and_breaks_where_nothing_is_known() -> None:
    logs_L = np.array([1.0, 2.0, np.nan, 0.5, -np.inf, 400.0])
    first, second = to_ribbons(np.arange(6.0), logs_L, 50.0)
    assert [x for x, _ in first] == [0.0, 1.0, 1.0, 0.0]
    assert [first[3][1] - first[0][1], first[2][1] - first[1][1]] == pytest.approx([10 * UNIT_PX, 100 * UNIT_PX])
    assert (second[5][1] + second[0][1]) / 2 == pytest.approx(50.0)
    assert second[4][1] - second[1][1] == pytest.approx(2.0), "too small to be seen is a thin line"
    assert second[3][1] - second[2][1] < 1e4, "too large for a canvas is cut"


@pytest.mark.full
def test_lanes_fill_the_box_in_order() -> None:
    first, second = place_lanes([1, 4], (0, 100, 10, 120))
    assert first.height == second.height == pytest.approx(20)
    assert list(first.middles) == pytest.approx([110])
    assert list(second.middles) == pytest.approx([150, 170, 190, 210])
