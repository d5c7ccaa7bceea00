"""Which lines each test of the core runs, from one run of them all.

Tests share what they compute: in fixtures of a module or session, and in functions with a cache. What such a part runs
belongs to every test that uses it, not only to the first; so each part has a context of its own, and tests name theirs.
"""

import functools
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import coverage
import pytest

from tests.mutants.known import Known, Timer, load, save
from tests.mutants.processes import run_pytest

PATHS = ("tests/core", "tests/oracles", "tests/core/figures", "tests/contract/test_specs.py")
SHARED = ("tests.", "mhc_core.theory.")  # Modules whose caches hold results from one test to the next.
LIMIT_S = 1800.0


def load_core_map(copy: Path, folder: Path) -> list[Known]:
    """What is known of tests of the core; found out first where the folder does not have it."""
    kept = folder / "core.json"
    if not kept.exists():
        recorder = Recorder(copy, kept)
        outcome = run_pytest(copy, ["--maxfail=100", *PATHS], [recorder], kept.with_suffix(".log"), LIMIT_S)
        assert kept.exists(), f"no map of tests: they have {outcome}, see {kept.with_suffix('.log')}"
    return load(kept)


class Recorder(Timer):
    """A plugin of pytest that writes the map as the session ends."""

    def __init__(self, copy: Path, file: Path) -> None:
        super().__init__()
        self._copy, self._file = copy, file
        self._coverage = coverage.Coverage(data_file=None, source=[str(copy / "mhc_core"), str(copy / "app")])
        self._stack: list[str] = [""]
        self._uses: defaultdict[str, set[str]] = defaultdict(set)

    def pytest_configure(self) -> None:
        self._coverage.start()
        functools.lru_cache = self._wrap_cache(functools.lru_cache)
        functools.cache = lambda function: functools.lru_cache(None)(function)

    def _wrap_cache(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def lru_cache(maxsize: Any = 128, typed: bool = False) -> Any:
            if callable(maxsize):
                return lru_cache()(maxsize)

            def decorate(function: Callable[..., Any]) -> Any:
                cached = real(maxsize, typed)(function)
                return self._follow(cached, function) if function.__module__.startswith(SHARED) else cached

            return decorate

        return lru_cache

    def _follow(self, cached: Callable[..., Any], function: Callable[..., Any]) -> Any:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            key = f"{function.__module__}.{function.__qualname__}{hash((args, tuple(kwargs.items())))}"
            with self.inside(key):
                return cached(*args, **kwargs)

        call.cache_clear = cached.cache_clear  # type: ignore[attr-defined]
        return call

    def inside(self, context: str) -> "_Inside":
        """Lines that run belong to the context, which the context around it uses."""
        return _Inside(self, context)

    def enter(self, context: str) -> None:
        self._uses[self._stack[-1]].add(context)
        self._stack.append(context)
        self._coverage.switch_context(context)

    def leave(self) -> None:
        self._stack.pop()
        self._coverage.switch_context(self._stack[-1])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        with self.inside(item.nodeid):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Iterator[None]:
        if fixturedef.scope == "function":
            return (yield)
        with self.inside(_name_fixture(fixturedef, getattr(request, "param_index", 0))):
            return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """A fixture that was made for an earlier test is used by this one too."""
        super().pytest_runtest_setup(item)
        if isinstance(item, pytest.Function):
            for definitions in item._fixtureinfo.name2fixturedefs.values():
                for definition in definitions:
                    if definition.scope != "function":
                        index = item.callspec.indices.get(definition.argname, 0) if hasattr(item, "callspec") else 0
                        self._uses[item.nodeid].add(_name_fixture(definition, index))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        self._coverage.stop()
        lines = self._list_lines()
        for item in self.tests.values():
            found: defaultdict[str, set[int]] = defaultdict(set)
            for context in self._list_used(item.test):
                for name, numbers in lines[context].items():
                    found[name] |= numbers
            item.lines = dict(found)
        save(self._file, self.tests.values())

    def _list_lines(self) -> defaultdict[str, defaultdict[str, set[int]]]:
        found: defaultdict[str, defaultdict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
        data = self._coverage.get_data()
        for path in data.measured_files():
            name = str(Path(path).relative_to(self._copy))
            for line, contexts in data.contexts_by_lineno(path).items():
                for context in contexts:
                    found[context][name].add(line)
        return found

    def _list_used(self, context: str) -> set[str]:
        """The context and all that it uses, directly or not."""
        found, left = set[str](), [context]
        while left:
            current = left.pop()
            if current not in found:
                found.add(current)
                left += self._uses[current]
        return found


class _Inside:
    def __init__(self, recorder: Recorder, context: str) -> None:
        self._recorder, self._context = recorder, context

    def __enter__(self) -> None:
        self._recorder.enter(self._context)

    def __exit__(self, *_: object) -> None:
        self._recorder.leave()


def _name_fixture(definition: Any, index: int) -> str:
    return f"fixture {definition.baseid} {definition.argname} {index}"
