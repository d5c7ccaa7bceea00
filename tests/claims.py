"""Every text that a reader of the page, the interface, the README or docs/measured.md sees, cut into sentences.

`docs/claims.md` has a row for each sentence that speaks of a paper or a product; `test_claims.py` compares the two.
"""

import ast
import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from fastapi import FastAPI

from mhc_core.figures import PANELS
from mhc_core.spec import FAMILIES
from mhc_scope.api import openapi
from mhc_scope.api.routers import OWNER_ROUTERS, ROUTERS
from mhc_scope.presets import PRESETS
from tests.conftest import ROOT

# Papers, what is cited from them, and methods, models and packages of others. mHC Scope is this program.
NAMED = re.compile(
    r"\b(papers?|arXiv|et al|m?HC\b(?! Scope)|Hyper-Connections|[Hh]yper-connections|Frac-Connections|"
    r"mHC-lite|mhc-lite|KromHC|ReZero|SkipInit|DeepNorm|LayerNorm Scaling|lucidrains|Megatron|transformers'|"
    r"TileKernels|timm|UCI|OLMoE?|DeepSeek\w*|GLM|Hunyuan|Qwen|GPT\b|ResNet|AlphaFold|Llama|Kimi)|"
    r"\b(Figs?\.|Eqs?\.|Tables?|sections?) ?\d|\b20[0-2]\d\b"
)
TABLE = ROOT / "docs" / "claims.md"
# Files whose strings are no text for readers, and presets, which are read as they are shown.
UNSEEN = ("app/mhc_scope/store/migrations", "app/mhc_scope/presets", "static/js/share/standalonelook.js")
ENDS = re.compile(r"(?<=[.!?])\s+(?=[A-Z“\"({]|mHC|examples/)")
DOCUMENTS = ("README", "docs/measured")
PLACES = ("preset ", "panel ", *DOCUMENTS, "connection kinds", "interface")
BREAK = " ¶ "  # between blocks of markup
NOT_ENDS = re.compile(r"(?:Fig|Eq|Figs|Eqs|al|No|vs)\.$")


class Row(NamedTuple):
    """What `docs/claims.md` says of one sentence."""

    sentence: str
    place: str
    source: str
    theirs: str
    ours: str
    agreement: str


def read_rows() -> list[Row]:
    """The table's rows."""
    lines = [line for line in TABLE.read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [Row(*line) for line in cells if line[0] != "sentence"]


def collect_claims() -> dict[str, set[str]]:
    """Each sentence that names a paper or a product, and each of a preset, with the places that say it."""
    found: dict[str, set[str]] = {}
    for place, text in (*_read_presets(), *_read_others()):
        for sentence in split_sentences(text):
            if place.startswith("preset ") or NAMED.search(sentence):
                found.setdefault(sentence, set()).add(place)
    return found


def place_of(places: set[str]) -> str:
    """The place that a row names: a preset or a panel rather than the interface, and these rather than a file."""

    def rank(place: str) -> tuple[int, str]:
        return next((at for at, start in enumerate(PLACES) if place.startswith(start)), len(PLACES)), place

    return min(places, key=rank)


def split_sentences(text: str) -> list[str]:
    """Sentences in one line each, without the mark that ends them."""
    pieces: list[str] = []
    for block in " ".join(text.split()).split(BREAK.strip()):
        start = len(pieces)
        for piece in ENDS.split(block):
            if len(pieces) > start and NOT_ENDS.search(pieces[-1]):
                pieces[-1] += f" {piece}"
            else:
                pieces.append(piece)
    return [stripped for piece in pieces if " " in (stripped := piece.strip(" .;:"))]


def _read_presets() -> Iterator[tuple[str, str]]:
    for preset in PRESETS:
        plain = preset.to_plain()
        titles = [preset.title] if NAMED.search(preset.title) else []
        told = (plain["reference"] or {}).items()  # its numbers stand in what it says
        texts = [*titles, preset.description, *(text for part, text in told if part != "numbers")]
        yield from ((f"preset {preset.name}", text) for text in texts)


def _read_others() -> Iterator[tuple[str, str]]:
    yield from (("connection kinds", f"{kind.name} {kind.year}") for kind in FAMILIES.values() if kind.year)
    for document in DOCUMENTS:
        yield from ((document, text) for text in read_markdown((ROOT / f"{document}.md").read_text()))
    yield from (("interface", text) for text in _read_strings(_describe_interface(), ("description", "summary")))
    for panel in PANELS.values():
        views = [text for view in panel.views for text in (view.title, view.meaning)]
        yield from ((f"panel {panel.key}", text) for text in (panel.meaning, *vars(panel.help).values(), *views))
    for room in ("app", "mhc_core", "mhc_probe", "mhc_service"):
        for path in sorted((ROOT / room).rglob("*.py")):
            if not _is_unseen(path):
                yield from ((_room(path), text) for text in read_python(path.read_text()))
    for path in sorted([*(ROOT / "static" / "js").rglob("*.js"), *ROOT.glob("mhc_*/static/*.js")]):
        if not _is_unseen(path):
            yield from ((_room(path), text) for text in read_javascript(path.read_text()))
    for path in sorted([*ROOT.glob("templates/*.html"), *ROOT.glob("mhc_*/templates/*.html")]):
        yield _room(path), _strip_tags(path.read_text())


def _is_unseen(path: Path) -> bool:
    return path.relative_to(ROOT).as_posix().startswith(UNSEEN)


def _room(path: Path) -> str:
    """The folder, so that a row stays right when a file is split."""
    return path.parent.relative_to(ROOT).as_posix()


def _describe_interface() -> dict[str, Any]:
    app = FastAPI(generate_unique_id_function=lambda route: route.name)
    for router in (*ROUTERS, *OWNER_ROUTERS):
        app.include_router(router)
    return openapi.describe(app)


def _read_strings(node: Any, keys: tuple[str, ...]) -> Iterator[str]:
    """Strings under these keys anywhere in JSON."""
    for key, item in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        if key in keys and isinstance(item, str):
            yield re.sub(r"\n(Attributes\n-+\n|(?=\w[\w, ]*: ))", BREAK, item)
        yield from _read_strings(item, keys)


def read_python(source: str) -> Iterator[str]:
    """String literals, f-strings with {} for what they fill in; no docstrings."""
    tree = ast.parse(source)
    hidden: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            hidden.add(id(node.value))
        if isinstance(node, ast.JoinedStr):
            hidden |= {id(part) for part in ast.walk(node) if part is not node}
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)  # type: ignore[misc]


def read_javascript(source: str) -> Iterator[str]:
    """String literals and templates, {} for what they fill in, without comments and tags."""
    at, end = 0, len(source)
    while at < end:
        two = source[at : at + 2]
        if two == "//":
            at = _find(source, "\n", at)
        elif two == "/*":
            at = _find(source, "*/", at) + 2
        elif source[at] in "'\"":
            text, at = _read_quoted(source, at)
            yield text
        elif source[at] == "`":
            text, inner, at = _read_template(source, at)
            yield _strip_tags(text)
            for code in inner:
                yield from read_javascript(code)
        else:
            at += 1


def _find(source: str, mark: str, at: int) -> int:
    place = source.find(mark, at)
    return len(source) if place < 0 else place


def _read_quoted(source: str, at: int) -> tuple[str, int]:
    quote, start = source[at], at + 1
    at = start
    while at < len(source) and source[at] not in (quote, "\n"):
        at += 2 if source[at] == "\\" else 1
    return source[start:at], at + 1


def _read_template(source: str, at: int) -> tuple[str, list[str], int]:
    """A template literal from its backtick: its text, the code of its places, and where it ends."""
    text, inner = "", []
    at += 1
    while at < len(source) and source[at] != "`":
        if source.startswith("${", at):
            start = at = at + 2
            at = _skip_code(source, at)
            inner.append(source[start:at])
            text += "{}"
            at += 1
        else:
            text += source[at]
            at += 1
    return text, inner, at + 1


def _skip_code(source: str, at: int) -> int:
    """Where the brace closes that opened before `at`."""
    depth = 0
    while at < len(source) and (source[at] != "}" or depth):
        if source[at] == "`":
            at = _read_template(source, at)[2]
            continue
        if source[at] in "'\"":
            at = _read_quoted(source, at)[1]
            continue
        depth += {"{": 1, "}": -1}.get(source[at], 0)
        at += 1
    return at


def _strip_tags(text: str) -> str:
    """Text of markup: a block ends a sentence, a tag within a line does not."""
    text = re.sub(r"<(style|script)\b.*?</\1>|{%.*?%}|<!--.*?-->", " ", text, flags=re.DOTALL)
    said = BREAK.join(re.findall(r'\b(?:content|aria-label|title|alt|label)="([^"<>]+)"', text))
    text = re.sub(r"</?(?:b|i|em|strong|code|span|small|a)\b[^<>]*>", "", text)
    return html.unescape(f"{re.sub(r'<[^<>]*>', BREAK, text)}{BREAK}{said}")


def read_markdown(text: str) -> Iterator[str]:
    """Paragraphs, items and cells, without code and marks."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    for block in re.split(r"\n\s*\n|\n(?=[-#|] ?)", text):
        block = re.sub(r"!?\[([^]]*)\]\([^)]*\)", r"\1", block.strip())
        yield re.sub(r"\*\*|`", "", re.sub(r"^[-#>]+ |\|", " ", block))
