"""What a card can tell: time, launches, and how near a pass comes to the card's limits. `python -m benchmarks.gpu`.

On a machine without a card nothing is measured: every row says so.
"""

from dataclasses import replace
from functools import partial

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.core import differentiate
from benchmarks.launches import count_launches
from benchmarks.peers import PeerProcess, build_layers, check_layers
from benchmarks.rows import Row, print_rows
from benchmarks.side_by_side import ROUNDS, clock, median_ratio, time_interleaved
from mhc_core.cost.counts import count_pass_bytes
from mhc_core.measure.passes import measure
from mhc_core.spec import RunSpec, parse_spec
from mhc_core.stack import Stack, build_stack

DEPTH, WIDTHS = 32, (64, 256, 1024)
INPUT = {"batch": 8, "tokens": 256}
CONNECTIONS: dict[str, dict[str, object]] = {
    "residual": {"kind": "residual"},
    "static": {"kind": "mhc"},
    "dynamic": {"kind": "mhc", "dynamic": True},
}
MEASURED_LIMITS = {64: 1.10, 256: 1.05, 1024: 1.05}
DYNAMIC_LIMITS = {64: 2.2, 256: 1.3}
LAUNCH_LIMITS = {"static": 250, "dynamic": 450}
COPIED_BYTES, PRODUCT_WIDTH = 2**30, 8192


def build_rows() -> dict[str, Row]:
    """Return all rows by name, without values."""
    rows: dict[str, Row] = {}
    for width in WIDTHS:
        what = f"dynamic mHC n = 4, C = {width}"
        rows |= {
            f"measured {width}": Row(f"{what}, everything measured", "the same, bare autograd", None, "x",
                                     MEASURED_LIMITS[width]),
            f"dynamic {width}": Row(what, "residual stack", None, "x", DYNAMIC_LIMITS.get(width)),
            f"static {width}": Row(f"static mHC n = 4, C = {width}", "residual stack", None, "x"),
            f"bytes {width}": Row(f"{what}: share of the card's bandwidth", "a copy of 1 GiB", None, "%"),
            f"flops {width}": Row(f"{what}: share of the card's arithmetic", "a product of 8192 x 8192", None, "%"),
        }  # fmt: skip
    for name, limit in LAUNCH_LIMITS.items():
        rows[f"launches {name}"] = Row(f"launches a layer, {name} mHC, everything measured", "-", None, "", limit)
    rows["peer"] = Row("mHC layer n = 4, C = 64, up and down", "hyper-connections 0.4.11", None, "x faster", 5, True)
    return rows


def find_card() -> torch.device | None:
    """Return this machine's GPU; None if there is none."""
    return torch.device("cuda") if torch.cuda.is_available() else None


def measure_stacks(device: torch.device, width: int, depth: int = DEPTH, rounds: int = ROUNDS) -> dict[str, float]:
    """Return ratios of times at one width, launches for each layer, and rates of bare autograd of the dynamic stack.

    "bytes" and "flops" are rates for each second; "launches static" and "launches dynamic" count for each layer.
    """
    specs = {name: build_spec(width, depth, connection) for name, connection in CONNECTIONS.items()}
    stacks = {name: build_stack(spec).to(device) for name, spec in specs.items()}
    ways = {name: clock(partial(differentiate, stack), device) for name, stack in stacks.items()}
    ways["measured"] = clock(partial(run, stacks["dynamic"], device), device)
    seconds = time_interleaved(ways, rounds)
    least = min(seconds["dynamic"])
    found = {
        "measured": median_ratio(seconds, "measured", "dynamic"),
        "dynamic": median_ratio(seconds, "dynamic", "residual"),
        "static": median_ratio(seconds, "static", "residual"),
        "bytes": count_pass_bytes(specs["dynamic"]) / least,
        "flops": count_flops(stacks["dynamic"]) / least,
    }
    for name in LAUNCH_LIMITS:
        found[f"launches {name}"] = count_launches(partial(run, stacks[name], device)) / depth
    return found


def build_spec(width: int, depth: int, connection: dict[str, object]) -> RunSpec:
    """Return a spec with MLP blocks, float32 and 2048 tokens."""
    return parse_spec(
        {"depth": depth, "width": width, "block": {"kind": "mlp"}, "connection": connection, "input": INPUT}
    )


def run(stack: Stack, device: torch.device) -> object:
    """Run one pass with all measurements."""
    return list(measure(stack, device))


def count_flops(stack: Stack) -> float:
    """Count the operations of the matrix products in one pass of bare autograd."""
    with FlopCounterMode(display=False) as counter:
        differentiate(stack)
    return float(counter.get_total_flops())


def measure_limits(
    device: torch.device, copied_bytes: int = COPIED_BYTES, width: int = PRODUCT_WIDTH, rounds: int = ROUNDS
) -> dict[str, float]:
    """Return bytes a second that a copy reads and writes, and operations a second of a float32 product."""
    source = torch.ones(copied_bytes // 4, device=device)
    target, factor = torch.empty_like(source), torch.ones(width, width, device=device)
    ways = {
        "bytes": clock(lambda: target.copy_(source), device),
        "flops": clock(lambda: factor @ factor, device),
    }
    seconds = time_interleaved(ways, rounds)
    return {"bytes": 2 * copied_bytes / min(seconds["bytes"]), "flops": 2 * width**3 / min(seconds["flops"])}


def measure_peer(device: torch.device) -> float:
    """Return the ratio of the time of `hyper-connections` to that of our layers."""
    process, layers = PeerProcess(device), build_layers(device)
    seconds = time_interleaved({"ours": clock(layers, device), "theirs": lambda: process.ask("hyper_connections")})
    process.close()
    check_layers(process.checksums, layers())
    return median_ratio(seconds, "theirs", "ours")


def measure_card(device: torch.device) -> dict[str, float]:
    """Return the values of all rows by name."""
    limits, found = measure_limits(device), {"peer": measure_peer(device)}
    for width in WIDTHS:
        stacks = measure_stacks(device, width)
        found |= {f"{name} {width}": stacks[name] for name in ("measured", "dynamic", "static")}
        found |= {f"{name} {width}": 100 * stacks[name] / limit for name, limit in limits.items()}
        # Of all widths the most: they differ where layers are measured fewer at a time.
        for name in (f"launches {kind}" for kind in LAUNCH_LIMITS):
            found[name] = max(found.get(name, 0.0), stacks[name])
    return found


def main() -> None:
    """Print the rows."""
    torch.set_num_threads(1)
    card = find_card()
    found = {} if card is None else measure_card(card)
    print_rows([replace(row, value=found.get(name)) for name, row in build_rows().items()])


if __name__ == "__main__":
    main()
