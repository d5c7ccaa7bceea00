"""How a wheel comes to carry what lies beside the packages: templates, our part of `static/`, and the files of others.

All else stands in pyproject.toml. A checkout and an editable install carry nothing: they read the files where they are.
"""

import io
import json
import shutil
import sys
import tarfile
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import sfnt
from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from app.pages.vendored import CHARACTERS, FONTS, list_carried, package_of  # noqa: E402  (a build has no other path to it)

OURS = ("templates", "static/css", "static/js", "static/img")
OTHERS = "static/node_modules"


def list_files() -> list[str]:
    """Paths in the checkout of all files to carry. Raises where one of others' is missing, or not the lock file's."""
    check_versions()
    ours = [path for folder in OURS for path in (ROOT / folder).rglob("*") if path.is_file()]
    return sorted(
        [*(path.relative_to(ROOT).as_posix() for path in ours), *(f"{OTHERS}/{path}" for path in list_carried())]
    )


def check_versions() -> None:
    """Others' files must be those that static/package-lock.json names."""
    locked = json.loads((ROOT / "static/package-lock.json").read_bytes())["packages"]
    for package in sorted({package_of(path) for path in list_carried()}):
        wanted = locked[f"node_modules/{package}"]["version"]
        about = ROOT / OTHERS / package / "package.json"
        got = json.loads(about.read_bytes())["version"] if about.is_file() else "nothing"
        if got != wanted:
            raise SystemExit(f"{OTHERS} has {got} of {package}, the lock file wants {wanted}: run `make setup`")


def read_carried(path: str) -> bytes:
    """A file as it is carried: of a font, what we write with it."""
    if path.removeprefix(f"{OTHERS}/") not in FONTS.values():
        return (ROOT / path).read_bytes()
    sfnt.ZLIB_COMPRESSION_LEVEL = 0  # the archive packs better
    options = subset.Options(flavor="woff", hinting=False, recalc_timestamp=False, drop_tables=["FFTM"])
    font = subset.load_font(ROOT / path, options)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=CHARACTERS)
    subsetter.subset(font)
    packed = io.BytesIO()
    subset.save_font(font, packed, options)
    return packed.getvalue()


def write_archive(target: Path) -> None:
    """All of them in one file: the same bytes on every machine, at any time."""
    with tarfile.open(target, "w:xz", preset=9) as archive:
        for path in list_files():
            body = read_carried(path)
            entry = tarfile.TarInfo(path)
            entry.size = len(body)
            archive.addfile(entry, io.BytesIO(body))


class BuildWithFiles(build_py):
    """Python modules, and the archive that `app.files` reads."""

    def run(self) -> None:
        """Build, and carry. Modules that an earlier build of this folder left would travel along: they go first."""
        built = Path(self.build_lib)
        if not self.editable_mode and built.exists():
            shutil.rmtree(built)
        super().run()
        if not self.editable_mode:
            write_archive(built / "app" / "carried.tar.xz")


class SdistWithFiles(sdist):
    """Also what a wheel is built from: files that belong to no Python package."""

    def make_distribution(self) -> None:
        """Add them to the list, and pack."""
        self.filelist.extend([*list_files(), "static/package.json", "static/package-lock.json", "constraints.txt"])
        super().make_distribution()


setup(cmdclass={"build_py": BuildWithFiles, "sdist": SdistWithFiles})
