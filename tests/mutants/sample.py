"""A sample of mutants: so many of each part of the program, the same for the same sources."""

import ast
import difflib
import functools
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import parso
from cosmic_ray.ast import ast_nodes
from cosmic_ray.mutating import mutate_code
from parso.tree import NodeOrLeaf

from tests.mutants.operators import load_operators, name_family
from tests.mutants.wording import is_wording

SEED = 20
OPERATORS = load_operators()
COMPOUND = ("if_stmt", "while_stmt", "for_stmt", "with_stmt", "try_stmt", "funcdef", "classdef", "decorated")


@dataclass(frozen=True)
class Stratum:
    """A part of the program, how many mutants it gets, and the folders or files whose tests come first."""

    name: str
    sources: str
    count: int
    tests: tuple[str, ...]


STRATA = (
    Stratum("connections", "mhc_core/connections/**/*.py", 30, ("tests/core/connections",)),
    Stratum("metrics", "mhc_core/metrics/*.py", 35, ("tests/core/metrics",)),
    Stratum("measure", "mhc_core/measure/*.py", 40, ("tests/core/measure",)),
    Stratum("theory", "mhc_core/theory/*.py", 25, ("tests/core/theory",)),
    Stratum("services", "app/mhc_scope/services/*.py", 30, ("tests/app/services", "tests/app/api")),
    Stratum("store", "app/mhc_scope/store/*.py", 20, ("tests/app/store",)),
    Stratum("stream", "app/mhc_scope/api/http/stream.py", 20, ("tests/app/api/test_stream.py",)),
)


@dataclass(frozen=True)
class Place:
    """A change that can be made: the `occurrence`-th of an operator in a file.

    Attributes
    ----------
    lines: first and last line of the statement.
    on_import: whether it runs as the file is imported.
    names: what such a statement defines.
    """

    file: str
    start: tuple[int, int]
    operator: str
    occurrence: int
    lines: tuple[int, int]
    on_import: bool
    names: tuple[str, ...]


@dataclass(frozen=True)
class Mutant:
    """A place with what the change looks like; `code` is the whole mutated file."""

    stratum: Stratum
    place: Place
    diff: str
    code: str

    @property
    def id(self) -> str:
        line, column = self.place.start
        return f"{self.place.file}:{line}:{column}:{self.place.operator}:{self.place.occurrence}"


def choose_mutants(root: Path) -> list[Mutant]:
    """The sample, the strata taking turns, so that a run that is cut short has judged some of each."""
    chosen = [_choose_of(stratum, root) for stratum in STRATA]
    turns = [(k / len(part), part[k]) for part in chosen for k in range(len(part))]
    return [mutant for _, mutant in sorted(turns, key=lambda turn: turn[0])]


def _choose_of(stratum: Stratum, root: Path) -> list[Mutant]:
    draw = random.Random(f"{SEED} {stratum.name}")
    variants: defaultdict[tuple[str, tuple[int, int], str], list[Place]] = defaultdict(list)
    for path in sorted(root.glob(stratum.sources)):
        for place in list_places(path.read_text(), str(path.relative_to(root))):
            variants[place.file, place.start, name_family(place.operator)].append(place)
    groups = list(variants.values())
    draw.shuffle(groups)
    found: list[Mutant] = []
    for group in groups:
        mutant = build_mutant(stratum, root, draw.choice(group))
        found += [mutant] if mutant else []
        if len(found) == stratum.count:
            break
    return found


def build_mutant(stratum: Stratum, root: Path, place: Place) -> Mutant | None:
    """The mutated file; None where it is no program."""
    source = (root / place.file).read_text()
    code = mutate_code(source, OPERATORS[place.operator], place.occurrence)
    try:
        if code is None or ast.dump(ast.parse(code)) == ast.dump(ast.parse(source)):
            return None
    except SyntaxError:
        return None
    changes = difflib.unified_diff(source.splitlines(), code.splitlines(), place.file, place.file, lineterm="", n=0)
    return Mutant(stratum, place, "\n".join(list(changes)[2:]), code)


def list_places(source: str, file: str) -> Iterator[Place]:
    """All changes that can be made to a file, except those of mere wording."""
    nodes = list(ast_nodes(parso.parse(source)))
    is_mere_wording = functools.cache(is_wording)
    for name, operator in OPERATORS.items():
        occurrence = 0
        for node in nodes:
            for start, _ in operator.mutation_positions(node):
                if not is_mere_wording(node):
                    yield Place(file, start, name, occurrence, *_locate(node, start))
                occurrence += 1


def _locate(node: NodeOrLeaf, start: tuple[int, int]) -> tuple[tuple[int, int], bool, tuple[str, ...]]:
    """Lines of the statement, whether it runs as the file is imported, and what it then defines."""
    statement = node if node.type in COMPOUND else _find_statement(node)
    on_import = statement.search_ancestor("funcdef") is None
    if statement.type == "simple_stmt":
        lines = statement.start_pos[0], statement.end_pos[0] - 1
        return lines, on_import, _list_defined(statement) if on_import else ()
    return (start[0], start[0]), on_import or node.type == "decorator", ()


def _list_defined(statement: NodeOrLeaf) -> tuple[str, ...]:
    """`A, B` of `A, B = 1, 2`."""
    leaves = (leaf for leaf in ast_nodes(statement) if leaf.type == "name")
    return tuple(leaf.value for leaf in leaves if leaf.is_definition())


def _find_statement(node: NodeOrLeaf) -> NodeOrLeaf:
    found = node.search_ancestor("simple_stmt", *COMPOUND)
    return found if found is not None else node
