"""Write `static/fonts/inter.woff2`: the characters of Inter that the page is written with, 22 kB in place of 48.

`python docs/font.py`, after `npm ci` in static/. The other characters come from the fonts of the system.
"""

from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "static/node_modules/@fontsource-variable/inter/files/inter-latin-wght-normal.woff2"
TARGET = ROOT / "static/fonts/inter.woff2"
CHARACTERS = (*range(0x20, 0x7F), *map(ord, "\u00a0°±·×äöüé‹›−"), *range(0x2010, 0x2027))


def keep_hyphen(font: TTFont) -> None:
    """Take the hyphen out of the tabular forms: there it is as wide as a digit and tears words apart."""
    hyphen = font.getBestCmap()[ord("-")]
    for lookup in font["GSUB"].table.LookupList.Lookup:
        for table in lookup.SubTable:
            table.mapping.pop(hyphen, None)


def main() -> None:
    """Write the file."""
    options = subset.Options(flavor="woff2", hinting=False, layout_features=["kern", "tnum"], recalc_timestamp=False)
    font = subset.load_font(SOURCE, options)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=CHARACTERS)
    subsetter.subset(font)
    keep_hyphen(font)
    TARGET.parent.mkdir(exist_ok=True)
    subset.save_font(font, TARGET, options)


if __name__ == "__main__":
    main()
