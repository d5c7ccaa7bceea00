"""Ways to change a program: the operators of Cosmic Ray that make plausible faults, and one that drops a call."""

import re
from collections.abc import Iterator

import parso
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator, operator_names
from parso.tree import NodeOrLeaf

Span = tuple[tuple[int, int], tuple[int, int]]
# An operator becomes another of its kind: a shift of floats would fail wherever it runs, and show nothing.
KINDS = (
    {"Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow"},
    {"BitOr", "BitAnd", "BitXor"},
    {"Eq", "NotEq", "Lt", "LtE", "Gt", "GtE"},
    {"Is", "IsNot"},
)
# Need arguments of their own.
WITH_ARGUMENTS = ("VariableReplacer", "VariableInserter")


class DropCall(Operator):
    """Leave out a call that is a statement of its own."""

    def mutation_positions(self, node: NodeOrLeaf) -> Iterator[Span]:
        if _is_call_statement(node):
            yield node.start_pos, node.end_pos

    def mutate(self, node: NodeOrLeaf, index: int) -> NodeOrLeaf:
        return parso.parse(f"{node.get_first_leaf().prefix}None")

    @classmethod
    def examples(cls) -> tuple[()]:
        return ()


def _is_call_statement(node: NodeOrLeaf) -> bool:
    if node.parent is None or node.parent.type != "simple_stmt" or node.type not in ("atom_expr", "power"):
        return False
    return bool(node.get_code().rstrip().endswith(")"))


def load_operators() -> dict[str, Operator]:
    """Operators by name."""
    names = (name.partition("/")[2] for name in operator_names())
    found = {name: get_operator(f"core/{name}")() for name in names if _is_plausible(name)}
    return found | {"DropCall": DropCall()}


def _is_plausible(name: str) -> bool:
    if name in WITH_ARGUMENTS:
        return False
    if replaced := re.fullmatch(r"Replace(?:Binary|Comparison)Operator_(\w+)_(\w+)", name):
        return any(set(replaced.groups()) <= kind for kind in KINDS)
    return True


def name_family(name: str) -> str:
    """Operators of one family change one place in several ways: `ReplaceBinaryOperator` for `+` to `-`."""
    return name.partition("_")[0]
