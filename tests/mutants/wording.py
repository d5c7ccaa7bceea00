"""Places that are not worth a mutant: annotations, messages, logging, caches, promised precisions, own checks."""

from parso.tree import BaseNode, NodeOrLeaf

CACHES = ("cache", "lru_cache")
BESIDE = {
    "if_stmt": ("if TYPE_CHECKING",),
    "argument": ("strict=True", "precision="),  # No test can find that a promise is weaker than need be.
    "atom_expr": ("log.", "logging."),
}


def is_wording(node: NodeOrLeaf) -> bool:
    """Whether a change of the node changes what is written and not what is computed."""
    child, parent = node, node.parent
    if node.type == "decorator" and _names_cache(node):
        return True
    while parent is not None:
        if _is_annotation(child, parent) or _is_message(child, parent) or _is_beside(parent):
            return True
        child, parent = parent, parent.parent
    return False


def _is_annotation(child: NodeOrLeaf, parent: BaseNode) -> bool:
    if parent.type == "annassign":
        return child is parent.children[1]
    if parent.type == "tfpdef":
        return child is parent.children[2]
    if parent.type == "parameters":  # `*` and `/`
        return child.type == "operator"
    return parent.type == "funcdef" and child is getattr(parent, "annotation", None)


def _is_message(child: NodeOrLeaf, parent: BaseNode) -> bool:
    if parent.type == "assert_stmt":
        return len(parent.children) > 2 and child is parent.children[3]
    return child.type == "fstring" and _has_ancestor(child, "raise_stmt")


def _has_ancestor(node: NodeOrLeaf, kind: str) -> bool:
    return node.search_ancestor(kind) is not None


def _is_beside(node: NodeOrLeaf) -> bool:
    if node.type not in ("if_stmt", "argument", "atom_expr", "decorator"):
        return False
    code = node.get_code(include_prefix=False)
    if node.type == "decorator":
        return _names_cache(node)
    return bool(code.startswith(BESIDE[node.type]))


def _names_cache(decorator: NodeOrLeaf) -> bool:
    return decorator.get_code(include_prefix=False).strip("@\n").partition("(")[0] in CACHES
