"""Mixing matrices of every layer as a table: `mhc-scope serve` elsewhere, then run this."""

from mhc_probe.client import Client

with Client() as client:
    result = client.result(client.submit({"depth": 8, "connection": {"kind": "mhc"}}))
h_res = result.to_pandas("h_res")
print(h_res.pivot(index=["layer", "row"], columns="column", values="h_res"))
print("column sums, from 1:", h_res.groupby(["layer", "column"])["h_res"].sum().sub(1).abs().max())
