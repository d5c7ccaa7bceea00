"""What the page knows at once of a run is what the server says of it, over random pairs of specs."""

import json
import random
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from mhc_core.families import FAMILIES
from mhc_core.measure.run import run
from mhc_core.record.codec import encode_end, encode_frame
from mhc_core.spec import RunSpec, parse_spec
from tests.core.drawn import draw_specs
from tests.core.figures.filled import ROOT, find_node

MIXING = {"h_res", "h_res_row_sum", "h_res_col_sum", "h_res_min", "ds_error", "gain_fwd", "gain_bwd"}
COMPOSITES = {f"composite_{key}" for key in ("gain_fwd", "gain_bwd", "norm_inf", "norm_1", "min_col_sum")}
STATES = {"act_rms", "cos_prev", "token_cos", "branch_out_rms"}
BACKWARD = {"grad_rms", "param_grad_norm"}

Answer = dict[str, Any]


class Page:
    """The page's modules in node, asked line by line."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def know(self, base: RunSpec, wanted: RunSpec, **start: Any) -> Answer | None:
        """What the page knows of a spec from the record of another, in whose start frame some fields are others."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        records = [list_frames(base), list_frames(wanted)]
        records[0][0] |= start
        self.process.stdin.write(json.dumps(records) + "\n")
        self.process.stdin.flush()
        found: Answer | None = json.loads(self.process.stdout.readline())
        return found


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    command = [find_node(), str(ROOT / "tests" / "js" / "derive_cli.js")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Page(process)
        process.communicate()


def list_frames(spec: RunSpec) -> list[dict[str, Any]]:
    """The frames of a run as the page gets them."""
    lines = [encode_frame(frame, "id", index) for index, frame in enumerate(run(spec))]
    return [json.loads(line) for line in [*lines, encode_end("id", len(lines), "done", None)]]


def build(spec: dict[str, Any], depth: int, **connection: Any) -> RunSpec:
    return parse_spec({**spec, "depth": depth, "connection": {**spec["connection"], **connection}})


def draw_pairs(count: int, seed: int, sizes: dict[str, list[Any]]) -> Iterator[tuple[RunSpec, RunSpec]]:
    """Records, and specs that differ from them as sliders make them: in depth, drift or rounds."""
    drawn = random.Random(seed)
    streams, noises, rounds = [2, 4, 8], [0.05, 0.3, 1.0, 3.0, 10.0], [1, 2, 5, 20, 40]
    choices: dict[str, list[Any]] = {
        "connection__streams": streams,
        "connection__noise": noises,
        "connection__sinkhorn_iters": rounds,
        "connection__sinkhorn_eps": [0.0, 0.0, 1e-6],
        "connection__mapping_dtype": ["auto", "auto", "float32"],
        "block__scaling": ["constant", "constant", "skipinit"],
        **sizes,
    }
    for spec in draw_specs(count, seed, **choices):
        deep = drawn.choice([8, 32, 64, 100])
        change = drawn.choice(["depth", "noise", "sinkhorn_iters", "all"])
        depth = drawn.randint(1, deep) if change in ("depth", "all") else deep
        moved = {
            name: drawn.choice(values)
            for name, values in (("noise", noises), ("sinkhorn_iters", rounds))
            if change in (name, "all")
        }
        yield build(spec, deep), build(spec, depth, **moved)


def check(answer: Answer, base: RunSpec, wanted: RunSpec) -> None:
    """Equal to 1e-6; of static mixing all that follows from the matrices, and nothing of the way down."""
    asked = (wanted.canonical(), base.depth, base.connection)
    assert answer["differences"] == [], asked
    assert not BACKWARD & set(answer["keys"]), asked
    assert set(answer["waits"]) >= BACKWARD, asked


SMALL: dict[str, list[Any]] = {}
USUAL = {"width": [16, 64], "input__tokens": [9, 64], "block__kind": ["mlp", "transformer"]}


@pytest.mark.full
@pytest.mark.parametrize(
    ("count", "seed", "sizes"),
    [(20, 6, SMALL), (10, 7, USUAL), pytest.param(40, 3, USUAL, marks=pytest.mark.trial)],
)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")  # a drift of 10 leaves float32
def test_what_is_known_at_once_is_what_the_server_says(
    page: Page, count: int, seed: int, sizes: dict[str, list[Any]]
) -> None:
    known = 0
    for base, wanted in draw_pairs(count, seed, sizes):
        answer = page.know(base, wanted)
        if answer is not None:
            check(answer, base, wanted)
            known += 1
    assert known > count / 2


SPEC: dict[str, Any] = {"width": 16, "connection": {"kind": "mhc"}, "block": {"heads": 2}, "input": {"tokens": 9}}
DRAWN = [kind for kind, family in FAMILIES.items() if family.page_map is not None]


@pytest.mark.sample(5)
@pytest.mark.parametrize("kind", DRAWN)
def test_another_drift_tells_mixing_and_nothing_of_states(page: Page, kind: str) -> None:
    double = {**SPEC, "dtype": "float64"}
    answer = page.know(build(double, 6, kind=kind), build(double, 6, kind=kind, noise=0.9))
    assert answer is not None
    assert answer["differences"] == []
    assert set(answer["keys"]) >= MIXING | COMPOSITES | ({"h_read"} if kind == "frac" else {"unfolded"})
    assert set(answer["waits"]) >= STATES | BACKWARD


@pytest.mark.sample(5)
@pytest.mark.parametrize("kind", [kind for kind, family in FAMILIES.items() if not family.by_depth])
def test_a_smaller_depth_tells_all_but_the_way_down(page: Page, kind: str) -> None:
    answer = page.know(build(SPEC, 9, kind=kind), build(SPEC, 4, kind=kind))
    assert answer is not None
    assert answer["differences"] == []
    family = FAMILIES[kind]
    # Products to the last layer are of the page's own matrices, which mixing that depends on tokens has not.
    mixing = MIXING if family.always_by_token else MIXING | COMPOSITES
    assert set(answer["keys"]) >= STATES | (mixing if family.has_mixing else {"unfolded"})
    assert set(answer["waits"]) >= BACKWARD


@pytest.mark.parametrize("kind", [kind for kind, family in FAMILIES.items() if family.by_depth and family.page_map])
def test_mixing_that_depends_on_the_depth_is_computed_and_no_state_is_known(page: Page, kind: str) -> None:
    answer = page.know(build(SPEC, 9, kind=kind), build(SPEC, 4, kind=kind))
    assert answer is not None
    assert answer["differences"] == []
    assert set(answer["keys"]) >= MIXING | COMPOSITES
    assert set(answer["waits"]) >= STATES | BACKWARD
    assert page.know(build(SPEC, 4, kind=kind), build(SPEC, 6, kind=kind)) is None
    dynamic = {"kind": kind, "dynamic": True}
    assert page.know(build(SPEC, 9, **dynamic), build(SPEC, 4, **dynamic)) is None
    same = page.know(build(SPEC, 4, kind=kind), build(SPEC, 4, kind=kind))
    assert same is not None
    assert set(same["keys"]) >= STATES


def test_similarity_of_layers_is_known_in_float64_alone(page: Page) -> None:
    double = {**SPEC, "dtype": "float64"}
    for spec, where in ((double, "keys"), (SPEC, "waits")):
        answer = page.know(build(spec, 9), build(spec, 4))
        assert answer is not None
        assert answer["differences"] == []
        assert "cka" in answer[where]


def test_runs_in_bfloat16_are_not_known(page: Page) -> None:
    coarse = {**SPEC, "dtype": "bfloat16"}
    assert page.know(build(coarse, 6), build(coarse, 3)) is None
    assert page.know(build(SPEC, 6, mapping_dtype="bfloat16"), build(SPEC, 3, mapping_dtype="bfloat16")) is None


@pytest.mark.parametrize("dynamic", [False, True])
def test_of_a_deeper_stack_the_first_layers_are_known(page: Page, dynamic: bool) -> None:
    answer = page.know(build(SPEC, 4, dynamic=dynamic), build(SPEC, 6, dynamic=dynamic))
    assert answer is not None
    assert answer["differences"] == []
    assert answer["begun"] == [1, 1, 1, 1, 0, 0]
    assert set(answer["keys"]) >= MIXING | STATES
    assert not (COMPOSITES | BACKWARD | {"cka", "unfolded"}) & set(answer["keys"])


def test_a_deeper_stack_of_another_mixing_or_scaled_by_depth_is_not_known(page: Page) -> None:
    assert page.know(build(SPEC, 4), build(SPEC, 5, noise=0.9)) is None
    scaled = {**SPEC, "block": {"heads": 2, "scaling": "skipinit"}}
    assert page.know(build(scaled, 4), build(scaled, 5)) is None


def test_dynamic_mixing_is_known_as_far_as_it_is_a_beginning(page: Page) -> None:
    answer = page.know(build(SPEC, 6, dynamic=True), build(SPEC, 3, dynamic=True))
    assert answer is not None
    assert answer["differences"] == []
    assert set(answer["keys"]) >= {"h_res", "composite_gain_fwd", "act_rms"}
    assert set(answer["waits"]) >= {"composite_gain_bwd", "grad_rms"}
    assert page.know(build(SPEC, 6, dynamic=True), build(SPEC, 6, dynamic=True, noise=0.5)) is None


def test_a_record_without_draws_tells_its_beginning_alone(page: Page) -> None:
    assert page.know(build(SPEC, 6), build(SPEC, 6, noise=0.5), drift=None) is None
    answer = page.know(build(SPEC, 6), build(SPEC, 3), drift=None)
    assert answer is not None
    assert set(answer["keys"]) >= COMPOSITES | STATES


def test_runs_that_train_and_records_of_other_numerics_tell_nothing(page: Page) -> None:
    trained = {**SPEC, "train": {"steps": 1}}
    assert page.know(build(trained, 4), build(trained, 3)) is None
    assert page.know(build(SPEC, 4), build(SPEC, 3), versions={"numerics": 2}) is None


def test_bands_of_seeds_are_beginnings_and_not_of_another_drift(page: Page) -> None:
    banded = {**SPEC, "seeds": 2}
    answer = page.know(build(banded, 6), build(banded, 3))
    assert answer is not None
    assert answer["differences"] == []
    assert {"act_rms", "composite_gain_fwd"} <= set(answer["keys"])
    assert "composite_gain_bwd" in answer["waits"]
    other = page.know(build(banded, 6), build(banded, 6, noise=0.5))
    assert other is not None
    assert {"composite_gain_fwd", "composite_gain_bwd", "ds_error"} <= set(other["waits"])
    assert "h_res" in other["keys"]


EDITED: dict[str, list[dict[str, Any]]] = {
    "a cut that is restored": [
        {"layers": [1, 2], "what": "stream", "index": 1, "do": "zero"},
        {"layers": [4, 4], "what": "stream", "index": 1, "do": "restore"},
    ],
    "streams": [
        {"layers": [0, 1], "what": "stream", "index": 0, "do": "scale", "value": -0.5},
        {"layers": [1, 3], "what": "stream", "index": 2, "do": "swap", "other": 0},
        {"layers": [1, 1], "what": "stream", "index": 3, "do": "uniform"},
        {"layers": [4, 5], "what": "state", "do": "uniform"},
    ],
    "what is not linear restarts": [
        {"layers": [2, 2], "what": "stream", "index": 0, "do": "zero"},
        {"layers": [2, 2], "what": "stream", "index": 1, "do": "mean"},
        {"layers": [2, 2], "what": "state", "do": "scale", "value": 3.0},
    ],
    "matrices": [
        {"layers": [0, 0], "what": "h_res", "do": "identity"},
        {"layers": [1, 1], "what": "h_res", "index": 2, "do": "set", "values": [0.1, 0.2, 0.3, 0.4]},
        {"layers": [1, 2], "what": "h_res", "index": 0, "do": "swap", "other": 3},
        {"layers": [2, 3], "what": "h_res", "do": "top_k", "k": 2},
        {"layers": [3, 3], "what": "h_res", "index": 1, "do": "uniform"},
        {"layers": [3, 3], "what": "h_res", "index": 2, "do": "identity"},
        {"layers": [4, 4], "what": "h_res", "do": "uniform"},
        {"layers": [5, 5], "what": "h_res", "do": "zero"},
        {"layers": [5, 5], "what": "h_res", "index": 1, "do": "freeze"},
        {"layers": [5, 5], "what": "stream", "index": 0, "do": "zero"},
    ],
    "vectors": [
        {"layers": [0, 2], "what": "h_pre", "index": 1, "do": "zero"},
        {"layers": [1, 1], "what": "h_post", "do": "scale", "value": 0.25},
        {"layers": [2, 2], "what": "h_post", "index": 3, "do": "set", "values": [2.0]},
        {"layers": [3, 3], "what": "h_post", "do": "uniform"},
        {"layers": [3, 4], "what": "h_post", "do": "top_k", "k": 1},
        {"layers": [4, 4], "what": "branch", "do": "zero"},
    ],
}


@pytest.mark.sample(8)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["mhc", "hc", "frac"])
@pytest.mark.parametrize("edits", EDITED.values(), ids=EDITED)
def test_edits_of_static_mixing_are_known_and_nothing_of_states(
    page: Page, edits: list[dict[str, Any]], kind: str, dtype: str
) -> None:
    spec = {**SPEC, "dtype": dtype, "edits": edits}
    answer = page.know(build({**SPEC, "dtype": dtype}, 6, kind=kind), build(spec, 6, kind=kind))
    assert answer is not None
    assert answer["differences"] == []
    assert set(answer["keys"]) >= MIXING | COMPOSITES | ({"h_read"} if kind == "frac" else {"unfolded", "h_pre"})
    assert set(answer["waits"]) >= STATES | BACKWARD | {"effect_state", "effect_grad"}


@pytest.mark.sample(5)
@pytest.mark.parametrize("edits", EDITED.values(), ids=EDITED)
def test_another_drift_of_an_edited_run_is_known(page: Page, edits: list[dict[str, Any]]) -> None:
    spec = {**SPEC, "dtype": "float64", "edits": edits}
    answer = page.know(build(spec, 6), build(spec, 6, noise=0.9))
    assert answer is not None
    assert answer["differences"] == []
    assert set(answer["keys"]) >= MIXING | COMPOSITES


def test_a_shallower_edited_stack_is_the_beginning_of_a_deeper_one(page: Page) -> None:
    spec = {**SPEC, "edits": [EDITED["a cut that is restored"][0]]}
    answer = page.know(build(spec, 9), build(spec, 4))
    assert answer is not None
    assert answer["differences"] == []
    assert set(answer["keys"]) >= MIXING | COMPOSITES | STATES


def test_edits_behind_the_last_common_layer_do_not_matter(page: Page) -> None:
    cut, restore = EDITED["a cut that is restored"]
    both, first = {**SPEC, "edits": [cut, restore]}, {**SPEC, "edits": [cut]}
    for base, wanted in ((build(both, 6), build(first, 4)), (build(first, 4), build(both, 6))):
        answer = page.know(base, wanted)
        assert answer is not None
        assert answer["differences"] == []
        assert set(answer["keys"]) >= STATES
    answer = page.know(build({**SPEC, "edits": [restore]}, 6), build(SPEC, 4))
    assert answer is not None
    assert answer["differences"] == []
    assert not {"effect_state", "effect_grad"} & {*answer["keys"], *answer["waits"]}, "it has no edits"
    assert page.know(build({**SPEC, "edits": [cut]}, 6), build(SPEC, 2)) is None, "the edit is longer than the stack"
    noise = {"layers": [1, 1], "what": "stream", "index": 0, "do": "noise", "value": 1.0}
    assert page.know(build({**SPEC, "edits": [restore, noise]}, 6), build({**SPEC, "edits": [noise]}, 4)) is None


def test_edits_that_only_a_pass_can_apply_are_not_known(page: Page) -> None:
    cut = EDITED["a cut that is restored"][:1]
    noise = [{"layers": [1, 1], "what": "h_res", "do": "noise", "value": 0.1}]
    assert page.know(build(SPEC, 6), build({**SPEC, "edits": noise}, 6)) is None
    assert page.know(build(SPEC, 6, dynamic=True), build({**SPEC, "edits": cut}, 6, dynamic=True)) is None
    noisy = {**SPEC, "dtype": "float64", "edits": noise}
    assert page.know(build(noisy, 6), build({**noisy, "edits": cut}, 6)) is None
    assert page.know(build(noisy, 6), build(noisy, 6, noise=0.9)) is None
    assert page.know(build(noisy, 6), build(noisy, 4)) is not None
