"""HC's largest gain over depth and streams, as a table and as a heatmap: `mhc-scope serve` elsewhere, then run this."""

import plotly.graph_objects as go

from mhc_probe.client import Client

with Client() as client:
    sweep = client.sweep({"connection": {"kind": "hc"}}, {"depth": [4, 8, 16], "connection.streams": [2, 4]})
    print(client.sweep_values(sweep, "composite_gain_fwd").to_pandas())
    go.Figure(client.sweep_figure(sweep, "composite_gain_fwd")).write_html("sweep.html")
