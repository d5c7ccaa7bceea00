"""docs/accessibility.md, from what was found: tables of the least values, tab stops, and what falls short."""

from dataclasses import dataclass, field
from pathlib import Path

from tests.browser.audit import TARGET_PX, Finding, worst

REPORT = Path(__file__).resolve().parent.parent / "docs" / "accessibility.md"
MIN_RING_PX = 24  # pixels that must change with the focus, by 3:1


@dataclass
class Looked:
    """The findings for one theme at one width."""

    theme: str
    width: int
    views: dict[str, list[Finding]] = field(default_factory=dict)
    axe: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Return the heading of the column."""
        return f"{self.theme}, {self.width} px"


@dataclass(frozen=True)
class Stop:
    """A tab stop, and the number of pixels that its focus ring changes by a contrast of at least 3."""

    name: str
    ring: int


def to_cell(finding: Finding | None) -> str:
    """Format a value with the name of its element."""
    return "–" if finding is None else f"{finding.value:.2f}: {finding.name}".replace("|", "\\|")


def to_table(head: list[str], rows: list[list[str]]) -> str:
    """Format a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def to_contrast_table(looks: list[Looked], kind: str) -> str:
    """Format the least contrast: a row for each view, a column for each theme and width."""
    views = list(dict.fromkeys(view for looked in looks for view in looked.views))
    rows = [[view, *(to_cell(worst(looked.views.get(view, []), kind)) for looked in looks)] for view in views]
    rows = [row for row in rows if any(cell != "–" for cell in row[1:])]
    return to_table(["where", *(looked.name for looked in looks)], rows)


def to_small_targets(looks: list[Looked]) -> str:
    """Return the targets below 24 px, each with the rule that permits it."""
    found: dict[tuple[str, str], list[float]] = {}
    for looked in looks:
        for findings in looked.views.values():
            for item in findings:
                if item.kind == "target" and item.value < TARGET_PX and item.exempt != "disabled":
                    found.setdefault((item.name, item.exempt or "none: falls short"), []).append(item.value)
    if not found:
        return "None is smaller."
    return to_table(["target", "px", "exemption"], [[name, f"{min(px):.1f}", why] for (name, why), px in found.items()])


def short(looks: list[Looked]) -> list[str]:
    """Return a line for each finding that falls short."""
    lines = {
        f"- {item.kind}, {looked.name}, {view}: {item.name}: {item.value:.2f}, wanted {item.wanted:g}"
        for looked in looks
        for view, findings in looked.views.items()
        for item in findings
        if item.is_short
    }
    return sorted(lines | {f"- axe, {looked.name}, {line}" for looked in looks for line in looked.axe})


def count(looks: list[Looked], kind: str) -> int:
    """Count the elements that were audited."""
    return sum(item.kind == kind for looked in looks for findings in looked.views.values() for item in findings)


def write_report(looks: list[Looked], stops: dict[str, list[Stop]], moving: int, drift: float) -> list[str]:
    """Write docs/accessibility.md. Return the lines that state what falls short."""
    lines = short(looks)
    for theme, walked in stops.items():
        lines += [f"- focus, {theme}: {stop.name}: no ring" for stop in walked if stop.ring < MIN_RING_PX]
    if moving or drift:
        lines.append(f"- motion: {moving} elements may move, and a jump still scrolls {drift:g} px")
    listed = next(iter(stops.values()))
    rings = " and ".join(f"{min(stop.ring for stop in walked)} ({theme})" for theme, walked in stops.items())
    REPORT.write_text(
        TEMPLATE.format(
            texts=count(looks, "text"),
            axe=sum(len(looked.axe) for looked in looks) or "no",
            parts=count(looks, "part") + count(looks, "curve"),
            targets=count(looks, "target"),
            text=to_contrast_table(looks, "text"),
            part=to_contrast_table(looks, "part"),
            curve=to_contrast_table(looks, "curve"),
            letters=to_contrast_table(looks, "letters"),
            target=to_contrast_table(looks, "target"),
            small=to_small_targets(looks),
            stops="\n".join(f"{index}. {stop.name}" for index, stop in enumerate(listed, 1)),
            rings=rings,
            motion="Nothing moves." if not (moving or drift) else "See below.",
            short="\n".join(lines) or "Nothing of what is measured here.",
        )
    )
    return lines


TEMPLATE = """# Accessibility, measured

Written by `python -m benchmarks accessibility` in Chromium: the page, all that opens on it, an embedded figure, and
the pages of families, for signing in, for operators and for rooms, at 1440 and 390 px, light and dark; {texts} texts,
{parts} parts and curves, {targets} targets. A text's colour is the computed one with its opacity, its background the
pixels below it in a picture taken without text; of several the worst counts. So do numbers in cells and labels beside
curves; of values at the cursor, through which curves show, the ground counts. Limits are those of WCAG 2.2 AA: 4.5 for
text, 3 for large text, for parts that are operated and for curves, 24 px for targets. axe looked at each of these views
too: {axe} violations. `tests/browser/look` holds every view to the limits and to axe; there the main job is done with
keys alone (`test_keyboard.py`), and nothing is cut off at 320 px and at 200 % zoom of a window of 1440 x 900 px
(`test_narrow.py`).

## Least contrast of text

{text}

## Least contrast of parts that are operated

Edges of fields, sliders, checkboxes, the mark of a chosen view, a run's colour on its card, bars.

{part}

## Least contrast of curves

Lines, marks on lines and the cursor against their figure. Left out: cells of heatmaps, whose colours are the data
(their numbers stand in the table view, and in the cells where there is room), grid lines, and the pale fill of bands.

{curve}

## Letters

Least size in px, those in figures left out. Figures have 12 px too, less where a matrix leaves no room and in
exponents.

{letters}

## Targets

Least side in px, the exempt left out.

{target}

Smaller than 24 px, with their exemption (2.5.8: "spacing" is a circle of 24 px on it that touches no other target):

{small}

## Tab stops

At 1440 px, in order. Each was photographed with and without the focus: the least number of pixels that change by 3:1
is {rings}.

{stops}

## Motion

With `prefers-reduced-motion` no element has a transition or an animation, and a sentence's jump to its figure is there
at once. {motion} Playing a slider starts and stops by hand.

## What falls short

{short}
"""
