"""Checks texts and counts of a trace: only plain text of a limited length. The page also escapes them."""

import re
from typing import Any

from mhc_core.spec import SpecError

MAX_NAME, MAX_SENTENCE = 200, 2000
MAX_COUNT = 2**53  # JavaScript cannot represent all larger integers
MAX_ITEMS = 4096
SENTENCES = {"text", "statement", "reason"}

# Control characters, and characters that change the direction of the text after them.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_MARKUP = re.compile(r"<[a-zA-Z/!?]|&[a-zA-Z#]\w*;")


def check_plain(value: Any, path: str) -> None:
    """Check that all texts of plain data are short and have no markup, and that lists and integers are not too large.

    Raises
    ------
    SpecError
        Names the text or number.
    """
    if isinstance(value, dict):
        _require(len(value) <= MAX_ITEMS, path, f"{len(value)} keys", f"at most {MAX_ITEMS} keys")
        for key, item in value.items():
            check_text(str(key), f"{path} (key)")
            check_plain(item, f"{path}.{key}")
    elif isinstance(value, list):
        _require(len(value) <= MAX_ITEMS, path, f"{len(value)} items", f"at most {MAX_ITEMS} items")
        for index, item in enumerate(value):
            check_plain(item, f"{path}[{index}]")
    elif isinstance(value, str):
        check_text(value, path)
    elif isinstance(value, int):
        _require(abs(value) < MAX_COUNT, path, value, "an integer below 2^53")


def check_text(text: str, path: str) -> None:
    """Check that a text is short and has neither control characters nor markup; raise SpecError if not."""
    limit = MAX_SENTENCE if path.rpartition(".")[2] in SENTENCES else MAX_NAME
    _require(len(text) <= limit, path, f"{len(text)} characters", f"at most {limit} characters")
    _require(not _CONTROL.search(text), path, text, "text without control characters")
    _require(not _MARKUP.search(text), path, text, "plain text without markup")


def _require(is_met: bool, path: str, got: Any, wanted: str) -> None:
    """Raise a SpecError with these fields unless a condition is met."""
    if not is_met:
        raise SpecError(path, got, wanted)
