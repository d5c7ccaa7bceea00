"""The loss of a small stack while it trains, step by step: `mhc-scope serve` elsewhere, then run this."""

from mhc_core.record.frames import StepFrame
from mhc_probe.client import Client

with Client() as client:
    run = client.submit({"depth": 4, "width": 32, "connection": {"kind": "mhc"}, "train": {"steps": 10}})
    for frame in client.follow(run):
        if isinstance(frame, StepFrame):
            print(f"step {frame.step + 1}: loss {frame.values['step_loss']:.4f}")
