"""Modules that are joined into one file do what they do apart, which Node says."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from mhc_scope.pages.assets import FIRST_MODULE, OWN_PREFIX, Assets
from mhc_scope.pages.pack import MAP_NAME, NAME, Pack
from tests.core.figures.filled import find_node

# Each module says when it runs. `later.js` is imported on demand, and `added.js` is of an add-on.
SOURCES = {
    "js/first.js": """import fs from 'node:fs';
import { join as joined } from 'node:path';
import {
  count,
  grow as increase,
} from './parts/count.js';
import * as rows from './parts/rows.js';
import './parts/effect.js';

ran.push('first');
export const text = `
import numpy
${joined('a', 'b')}`;
export async function* list() {
  yield* rows.read();
  increase();
  yield count();
  const { total } = await import('./parts/later.js');
  yield total();
}
""",
    "js/parts/count.js": """
ran.push('count');
let value = 0;
export const count = () => value;
export function grow() { value += 1; }
export class Unused {}
""",
    "js/parts/rows.js": """import { count } from './count.js';
import { basename } from 'node:path';
ran.push('rows');
export function* read() { yield count(); }
export { basename };
""",
    "js/parts/effect.js": "ran.push('effect');\n",
    "js/parts/later.js": """import { count } from './count.js';
import { near } from './near.js';

ran.push('later');
export const total = () => 10 * count() + near;
""",
    "js/parts/near.js": "export const near = 5;\n",
    "added/added.js": f"import {{ count, grow }} from '{OWN_PREFIX}parts/count.js';\ngrow();\nexport default count;\n",
}
JOINED = ["js/first.js", "js/parts/count.js", "js/parts/rows.js", "js/parts/effect.js"]
SCRIPT = """
globalThis.ran = [];
const { text, list } = await import('./js/first.js');
const listed = [];
for await (const item of list()) listed.push(item);
const { basename } = await import('./js/parts/rows.js');
console.log(JSON.stringify({ ran, text, listed, name: basename('a/b') }));
"""


def _run(files: dict[str, str], folder: Path) -> object:
    """What the script prints about the modules in a folder."""
    for name, text in (files | {"script.mjs": SCRIPT, "package.json": '{"type": "module"}'}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    done = subprocess.run([find_node(), "script.mjs"], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_joined_modules_do_what_they_do_apart(tmp_path: Path) -> None:
    apart = _run(SOURCES, tmp_path / "apart")
    joined = _run(Pack(SOURCES, JOINED, OWN_PREFIX).build(), tmp_path / "joined")
    assert apart == joined
    assert isinstance(joined, dict)
    assert joined["ran"] == ["count", "rows", "effect", "first", "later"]
    assert joined["listed"] == [0, 1, 15], "the module that comes later counts with the same counter"


def test_modules_of_others_use_the_joined_ones() -> None:
    added = Pack(SOURCES, JOINED, OWN_PREFIX).build()["added/added.js"]
    assert added.splitlines()[0] == (
        f"import {{ __load }} from '{OWN_PREFIX}pack.js';const {{ count, grow }} = __load('js/parts/count.js');"
    )


@pytest.mark.parametrize(
    "source", ["export default 1;\n", "export * from './a.js';\n", "import a, { b } from 'c';\n", "import.meta.url;\n"]
)
def test_a_module_of_another_form_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match=r"js/odd\.js"):
        Pack({"js/odd.js": source}, ["js/odd.js"], OWN_PREFIX).build()


def test_the_map_names_the_line_of_each_line_of_the_page() -> None:
    bodies = Assets().bodies()
    [pack], [mapped] = (
        [body for path, body in bodies.items() if path.endswith(f"/{name}")] for name in (NAME, MAP_NAME)
    )
    lines, sections = pack.decode().split("\n"), json.loads(mapped)["sections"]
    assert FIRST_MODULE in [name for section in sections for name in section["map"]["sources"]]
    for section in sections:
        [source], begin = section["map"]["sourcesContent"], section["offset"]["line"]
        written = source.split("\n")
        assert section["map"]["mappings"] == "AAAA" + ";AACA" * source.count("\n")
        packed = lines[begin : begin + len(written)]
        changed = [one for one, other in zip(written, packed, strict=True) if one.removeprefix("export ") != other]
        assert all(re.search(r"^import |^export \{|^\} from '| as \w+,$|import\(", line) for line in changed), changed
