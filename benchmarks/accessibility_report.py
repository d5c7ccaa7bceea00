"""Write docs/accessibility.md from the findings: tables of the lowest values, tab stops, and failures."""

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
                    found.setdefault((item.name, item.exempt or "none: fails"), []).append(item.value)
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
            short="\n".join(lines) or "None.",
        )
    )
    return lines


TEMPLATE = """# Accessibility, measured

`python -m benchmarks accessibility` writes this file. It measures in Chromium: the page and its dialogs, an embedded
figure, and the pages of families, sign-in, operators and courses, at 1440 and 390 px, light and dark. These are
{texts} texts, {parts} parts and curves, and {targets} targets.

- The colour of a text includes its opacity. Its background is the pixels below it in a screenshot without text; the
  lowest contrast counts. Numbers in cells and labels near curves are measured likewise. Values at the cursor are
  compared with the background of the figure, because curves are visible through them.
- The limits are those of WCAG 2.2 AA: 4.5 for text; 3 for large text, operable parts and curves; 24 px for targets.
- axe found {axe} violations in these views.
- `tests/browser/look` checks every view against the limits and with axe. It also does the main task with keys alone
  (`test_keyboard.py`), and checks that nothing is cut off at 320 px and at 200 % zoom of 1440 x 900 px
  (`test_narrow.py`).

## Least contrast of text

{text}

## Least contrast of operable parts

Borders of fields, sliders, checkboxes, the mark of the selected view, the colour of a run on its card, bars.

{part}

## Least contrast of curves

Lines, their marks and the cursor against the figure. Not included: cells of heatmaps, whose colours are data (the table
view has their numbers, and so do cells that are large enough), grid lines, and the pale fill of bands.

{curve}

## Font sizes

Smallest size in px, without figures. Figures use 12 px, and less in small matrix cells and in exponents.

{letters}

## Targets

Shortest side in px, without exempt targets.

{target}

Targets below 24 px, with their exemption in criterion 2.5.8 ("spacing": a circle of 24 px on the target touches no
other):

{small}

## Tab stops

At 1440 px, in order. Screenshots with and without the focus were compared: the smallest number of pixels that change by
3:1 is {rings}.

{stops}

## Motion

With `prefers-reduced-motion` no element has a transition or an animation, and a link to a figure jumps without
scrolling. {motion} A slider plays only after a click, and a click stops it.

## Failures

{short}
"""
