"""Join the modules that a page runs at its start into one file, the pack, because 150 requests would take too long.

Each module becomes a function that returns its exports. It runs when the module is first imported, after the modules
that it imports. Only imports and exports are rewritten; other lines are unchanged, and a source map names the file and
line of each. Modules outside the pack import from the pack, so that each module exists only once in a page. This needs
modules without import cycles, default exports and top-level await, which tests check.
"""

import json
import posixpath
import re
from collections.abc import Iterable, Mapping

# `import { a, b as c } from 'x';`, `import * as a from 'x';`, `import a from 'x';` and `import 'x';`
IMPORT = re.compile(r"^import (?:(?P<what>\{[^}]*\}|\* as \w+|\w+) from )?'(?P<path>[^']+)';", re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:(?:async )?function\*?|const|class) (?P<name>\w+))", re.MULTILINE)
EXPORTS = re.compile(r"^export \{ (?P<names>[\w, ]+) \};", re.MULTILINE)
DYNAMIC_IMPORT = re.compile(r"\bimport\('(?P<path>\.[^']+)'\)")
# Imports and exports of other forms. A line such as `import numpy` is allowed: it is part of Python code in a string.
UNKNOWN = re.compile(r"^import(?: [{*']| \w+ from | \w+, [{*]|')|^export |\bimport\.meta\b", re.MULTILINE)
# Names in the pack begin with two underscores, to not conflict with names in modules.
LOAD = "__load"
NAME = "js/pack.js"
MAP_NAME = f"{NAME}.map"


class Pack:
    """Builds the pack and the modules that use it.

    Parameters
    ----------
    sources: path of a module, such as `js/app.js`, -> its text.
    names: paths of the modules to join.
    own_prefix: prefix with which add-ons import our modules, instead of `js/`.

    Raises
    ------
    ValueError
        If a module has an import or an export of another form.
    """

    def __init__(self, sources: Mapping[str, str], names: Iterable[str], own_prefix: str) -> None:
        self._sources, self._names, self._own_prefix = sources, frozenset(names), own_prefix
        self._packages: dict[str, str] = {}  # name of a package that modules import -> its variable in the pack

    def build(self) -> dict[str, str]:
        """Return the text of each file by path: the pack, its source map, and all modules."""
        modules = {name: self._to_function(name) for name in sorted(self._names)}
        head = [f"import * as {variable} from '{name}';" for name, variable in self._packages.items()]
        ran = ", ".join(f"'{name}': {variable}" for name, variable in self._packages.items())
        text = "\n".join(
            [
                *head,
                f"const __ran = {{ {ran} }};",
                f"export const {LOAD} = (name) => (__ran[name] ??= __modules[name]());",
                "const __modules = {",
            ]
        )
        sections = []
        for name, function in modules.items():
            text += f"\n'{name}': "
            sections.append(self._to_section(name, text.count("\n") + 1))
            text += f"{function},"
        text += f"\n}};\n//# sourceMappingURL={posixpath.basename(MAP_NAME)}\n"
        built = {NAME: text, MAP_NAME: json.dumps({"version": 3, "sections": sections})}
        for name, source in self._sources.items():
            built[name] = self._to_shim(name) if name in self._names else self._use_pack(name, source)
        return built

    def _to_function(self, name: str) -> str:
        """Return a module as a function that runs it and returns its exports. Its lines begin in the second line."""
        body = IMPORT.sub(lambda found: self._to_load(name, found, is_packed=True), self._sources[name])
        body = DYNAMIC_IMPORT.sub(lambda found: f"import('{self._from_pack(name, found['path'])}')", body)
        body = EXPORTS.sub("", EXPORT.sub("", body))
        if UNKNOWN.search(body):
            raise ValueError(f"{name} has an import or export that cannot be joined with others")
        # Brackets make browsers compile the function immediately, because it is called soon.
        return f"(() => {{\n{body}\nreturn {{ {', '.join(self.list_exports(name))} }}; }})"

    def list_exports(self, name: str) -> list[str]:
        """Return the names that a module exports."""
        source = self._sources[name]
        listed = [item.strip() for found in EXPORTS.finditer(source) for item in found["names"].split(",")]
        return [*(found["name"] for found in EXPORT.finditer(source)), *listed]

    def _to_load(self, name: str, found: re.Match[str], *, is_packed: bool) -> str:
        """Return a static import as a statement that takes the exports from the pack; unchanged if it has none."""
        path = self._resolve(name, found["path"])
        if path not in self._names and (path is not None or not is_packed):
            return found[0]
        if path is None:
            path = found["path"]
            self._packages.setdefault(path, f"__package{len(self._packages)}")
        what = found["what"] or ""
        if what.startswith("{"):
            left = re.sub(r"(\w+) as (\w+)", r"\1: \2", what)
        else:
            left = what.removeprefix("* as ") if what.startswith("*") else f"{{ default: {what} }}"
        return f"const {left} = {LOAD}('{path}');" if what else f"{LOAD}('{path}');"

    def _resolve(self, name: str, path: str) -> str | None:
        """Return the path of a module that the module `name` imports by `path`; None for a module of a package."""
        if path.startswith(self._own_prefix):
            return f"js/{path.removeprefix(self._own_prefix)}"
        return posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) if path.startswith(".") else None

    def _from_pack(self, name: str, path: str) -> str:
        """Return the path, relative to the pack, of a module that the module `name` imports dynamically."""
        target = posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
        return f"./{posixpath.relpath(target, posixpath.dirname(NAME))}"

    def _to_shim(self, name: str) -> str:
        """Return a module that re-exports the exports of a module in the pack, for imports by its address."""
        exports, load = self.list_exports(name), f"{LOAD}('{name}');\n"
        return self._import_pack(name) + (f"export const {{ {', '.join(exports)} }} = {load}" if exports else load)

    def _use_pack(self, name: str, source: str) -> str:
        """Return a module outside the pack, with imports of modules in the pack replaced."""
        used = IMPORT.sub(lambda found: self._to_load(name, found, is_packed=False), source)
        return source if used == source else self._import_pack(name).rstrip("\n") + used

    def _import_pack(self, name: str) -> str:
        """Return the statement with which the module `name`, ours or an add-on's, imports the pack, with a line end."""
        near = posixpath.relpath(NAME, posixpath.dirname(name))
        is_ours = name.startswith("js/")
        path = (near if near.startswith(".") else f"./{near}") if is_ours else NAME.replace("js/", self._own_prefix)
        return f"import {{ {LOAD} }} from '{path}';\n"

    def _to_section(self, name: str, line: int) -> dict[str, object]:
        """Return the section of the source map for a module that begins at `line`, from 0, and maps line by line."""
        source = self._sources[name]
        mappings = "AAAA" + ";AACA" * source.count("\n")
        part = {"version": 3, "sources": [name], "sourcesContent": [source], "names": [], "mappings": mappings}
        return {"offset": {"line": line, "column": 0}, "map": part}
