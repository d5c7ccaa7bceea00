"""Display of a record in a notebook: the figure of its first finding, and a table of a few numbers.

A notebook that can draw Plotly shows the figure; others show the table.
"""

import json
from html import escape
from typing import Any

from mhc_core import figures
from mhc_core.findings.numerals import format_value
from mhc_core.metrics import METRICS
from mhc_core.record.frames import SummaryFrame
from mhc_core.record.reduction import Reduction, reduce_metric
from mhc_core.record.result import Result

PLOTLY = "application/vnd.plotly.v1+json"
FIRST_PANEL = "activation"  # for a record without findings
SHOWN = ("act_rms", "grad_rms", "cos_prev", "composite_gain_fwd", "composite_gain_bwd", "ds_error", "step_loss")
ENDS: tuple[Reduction, ...] = ("first", "last", "min", "max")


def build_bundle(result: Result) -> dict[str, Any]:
    """Build the display of a result, figure and table by media type; {} if the result has no start frame yet."""
    if not result.has_start:
        return {}
    drawn = figures.figure(find_panel(result), [result], [result.label], result.depth - 1, "light")
    return {PLOTLY: json.loads(drawn.to_json()), "text/html": write_table(result)}


def find_panel(result: Result) -> str:
    """Return the panel of a result's first finding that has one; by default `FIRST_PANEL`."""
    panels = [finding.panel for finding in result.summary.findings] if result.has_summary else []
    return next((panel for panel in panels if panel in figures.PANELS), FIRST_PANEL)


def write_table(result: Result) -> str:
    """Return a result as HTML: headline, findings, and a table with one row per metric: the first and last value of its
    column, the least and the largest.
    """
    story = _write_story(result.summary) if result.has_summary else ""
    head = "".join(f"<th>{name}</th>" for name in (escape(result.label), *ENDS))
    rows = "".join(_write_row(result, key) for key in SHOWN if _has_column(result, key))
    return f"{story}<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _write_story(summary: SummaryFrame) -> str:
    """Write the headline and the findings of a record as HTML."""
    headline = escape(summary.headline.text)
    sentences = "".join(f"<li>{escape(finding.text)}</li>" for finding in summary.findings)
    return f"<p><b>{headline}</b></p><ul>{sentences}</ul>"


def _has_column(result: Result, key: str) -> bool:
    return key in result.layers or key in result.steps


def _write_row(result: Result, key: str) -> str:
    """Return one metric as a row of the HTML table: its name, and the values of `ENDS`."""
    numbers = [reduce_metric(result, key, end) for end in ENDS]
    cells = [format_value(number.value, number.log10, number.status) for number in numbers]
    metric = METRICS[key]
    name = f"{metric.title}, {metric.unit}" if metric.unit else metric.title
    return f"<tr><th>{escape(name)}</th>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
