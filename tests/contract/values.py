"""Two pieces of JSON compared value by value: packed arrays are unpacked, and wording is told apart from numbers."""

import base64
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Kind = Literal["different", "wording", "added"]

# Texts for people, by the last name of their path. They may be said in other words, but not with other numbers.
WORDING = re.compile(
    r"(?:^|\.)(?:text|title|unit|description|meaning|formula|reading|symbol|source|says|statement|holds|wanted|detail"
    r"|reason|label|hovertemplate|empty|unknown|ticktext|customdata|licence|dataset|problems|stdout)(?:\.\d+)*$"
    r"|(?:^|\.)data\.\d+\.name$|reference\.scale$"
)
# These have such a name, and are data.
DATA = re.compile(r"(?:^|\.)(?:fill\.\w+|table\.\d+\.source|marker\.symbol|input(?:\.default)?\.text)$")
# What a text must keep: placeholders, colours and numbers, small ones above the line as well.
FACT = re.compile(r"%\{[^}]*\}|#[0-9a-fA-F]{3,8}\b|(?:(?<!\w)[-−])?\d+(?:\.\d+)?(?:e[-+]?\d+)?|⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
EXPONENT = re.compile(r"^-?\d+(?:\.\d+)?e[-+]?\d+$")
NUMBER_WORDS = {"twice": "2", "thrice": "3", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6"}


@dataclass(frozen=True)
class Mismatch:
    """One place where two values are not the same. `added` is a key that only the second has."""

    kind: Kind
    path: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.path or 'value'}: {_shorten(self.before)} -> {_shorten(self.after)}"


def compare(before: Any, after: Any, path: str = "") -> Iterator[Mismatch]:
    """Every place where `after` is not what `before` is."""
    before, after = unpack(before), unpack(after)
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        yield from _compare_mappings(before, after, path)
    elif isinstance(before, np.ndarray) or isinstance(after, np.ndarray):
        yield from _compare_arrays(before, after, path)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from compare(one, other, f"{path}.{index}")
    elif not _is_same(before, after):
        yield Mismatch("wording" if _is_reworded(before, after, path) else "different", path, before, after)


def unpack(value: Any) -> Any:
    """The array of `{dtype, bdata, shape}`; anything else as it is."""
    if not isinstance(value, dict) or not {"dtype", "bdata"} <= value.keys() <= {"dtype", "bdata", "shape"}:
        return value
    flat = np.frombuffer(base64.b64decode(value["bdata"]), dtype=f"<{value['dtype']}")
    return flat.reshape([int(size) for size in str(value["shape"]).split(",")]) if "shape" in value else flat


def count_values(value: Any) -> int:
    """How many single values JSON holds."""
    value = unpack(value)
    if isinstance(value, np.ndarray):
        return value.size
    if isinstance(value, dict):
        return sum(map(count_values, value.values()))
    if isinstance(value, list):
        is_nested = any(isinstance(item, dict | list) for item in value)
        return sum(map(count_values, value)) if is_nested else len(value)
    return 1


def list_facts(text: str) -> list[str]:
    """Numbers, placeholders and colours of a text, in their order; `1e+02` is written `100`."""
    return [EXPONENT.sub(_write_out, fact) for fact in FACT.findall(text.replace("−", "-"))]


def mask_facts(text: str) -> str:
    """The words of a text alone, by which the same sentence is known with other numbers."""
    return FACT.sub("…", text)


def _compare_mappings(before: Mapping[str, Any], after: Mapping[str, Any], path: str) -> Iterator[Mismatch]:
    for key, value in before.items():
        place = f"{path}.{key}".lstrip(".")
        if key in after:
            yield from compare(value, after[key], place)
        else:
            yield Mismatch("different", place, value, "(not there)")
    for key in after.keys() - before.keys():
        yield Mismatch("added", f"{path}.{key}".lstrip("."), "(not there)", after[key])


def _compare_arrays(before: Any, after: Any, path: str) -> Iterator[Mismatch]:
    """Numbers, signs of zeros and places of nan must agree; a list stands for an array whose null is nan or inf."""
    one, other = _to_array(before, after), _to_array(after, before)
    if one is None or other is None or one.shape != other.shape:
        yield Mismatch("different", path, _describe(before), _describe(after))
        return
    if isinstance(before, list) != isinstance(after, list):
        one, other = (np.where(np.isfinite(array), array, np.nan) for array in (one, other))
    same = ((one == other) & (np.signbit(one) == np.signbit(other))) | (np.isnan(one) & np.isnan(other))
    wrong = np.argwhere(~same)
    if len(wrong):
        place = tuple(map(int, wrong[0]))
        where = f"{path}{list(place)}, {len(wrong)} of {one.size} numbers"
        yield Mismatch("different", where, one[place].item(), other[place].item())


def _to_array(value: Any, like: Any) -> np.ndarray | None:
    """As float64. The numbers of a list are first rounded to the type of the array that they are compared to."""
    if isinstance(value, np.ndarray):
        return value.astype(np.float64)
    try:
        return np.array(_to_numbers(value), dtype=like.dtype).astype(np.float64)
    except (TypeError, ValueError):  # not numbers, or rows of unlike length
        return None


def _to_numbers(value: Any) -> Any:
    if isinstance(value, list):
        return [_to_numbers(item) for item in value]
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return value


def _is_same(before: Any, after: Any) -> bool:
    numbers = [isinstance(value, int | float) and not isinstance(value, bool) for value in (before, after)]
    if all(numbers):
        return before == after and math.copysign(1, before) == math.copysign(1, after)
    return type(before) is type(after) and before == after


def _is_reworded(before: Any, after: Any, path: str) -> bool:
    if not (isinstance(before, str) and isinstance(after, str) and WORDING.search(path)) or DATA.search(path):
        return False
    return list_facts(before) == list_facts(after) or list_facts(_spell(before)) == list_facts(_spell(after))


def _write_out(number: re.Match[str]) -> str:
    return f"{float(number[0]):g}"


def _spell(text: str) -> str:
    """Small numbers that are words as digits."""
    return re.sub(r"[a-z]+", lambda word: NUMBER_WORDS.get(word[0], word[0]), text.lower())


def _describe(value: Any) -> str:
    return f"array of {value.dtype} {value.shape}" if isinstance(value, np.ndarray) else _shorten(value)


def _shorten(value: Any) -> str:
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 160 else f"{text[:157]}..."
