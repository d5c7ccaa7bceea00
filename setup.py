"""How a wheel comes to carry what lies beside the packages: templates, our part of `static/`, and the files of others.

All else stands in pyproject.toml. A checkout and an editable install carry nothing: they read the files where they are.
"""

import io
import json
import lzma
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path

import zopfli.zlib
from fontTools import subset
from fontTools.ttLib import sfnt
from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from app import files  # noqa: E402  (a build has no other path to it)
from app.pages.vendored import CHARACTERS, FONTS, list_carried, package_of  # noqa: E402

OURS = ("templates", "static/css", "static/js", "static/img", "static/fonts")
OTHERS = files.NODE_MODULES
# For text, of which no byte lies on a boundary.
PACKING = {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "pb": 0, "lc": 2}
# What is left out of a font beside signs: dates, formulas, pixels of old screens.
TABLES = ["FFTM", "GDEF", "GPOS", "GSUB", "MATH", "gasp"]


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
    """A file as it is carried: as a checkout serves it, but of a font only what we write with it."""
    if path.removeprefix(f"{OTHERS}/") in FONTS.values():
        return read_font(path)
    if path.startswith(OTHERS) and path.endswith("/package.json"):
        about = json.loads((ROOT / path).read_bytes())
        return json.dumps({key: about[key] for key in ("name", "version", "license")}).encode()
    return files.read_file(path)


def read_font(path: str) -> bytes:
    """A font with the shapes of what we write with it."""
    sfnt.ZLIB_COMPRESSION_LEVEL = 0  # the archive packs better
    # Neither our pictures nor jsPDF move letters together.
    options = subset.Options(
        flavor="woff", hinting=False, recalc_timestamp=False, layout_features=[], drop_tables=TABLES
    )
    font = subset.load_font(ROOT / path, options)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=CHARACTERS)
    subsetter.subset(font)
    packed = io.BytesIO()
    subset.save_font(font, packed, options)
    return packed.getvalue()


def write_archives(folder: Path) -> None:
    """All of them in two files: the same bytes on every machine, at any time."""
    paths = list_files()
    others = [path for path in paths if path.startswith(OTHERS)]
    with tarfile.open(folder / files.OURS.name, "w:bz2") as archive:
        add_files(archive, [path for path in paths if path not in others])
    with (
        lzma.open(folder / files.OTHERS.name, "wb", filters=[PACKING]) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        add_files(archive, others)


def add_files(archive: tarfile.TarFile, paths: list[str]) -> None:
    """Put files into an archive, by their paths in the checkout."""
    for path in paths:
        body = read_carried(path)
        entry = tarfile.TarInfo(path)
        entry.size = len(body)
        archive.addfile(entry, io.BytesIO(body))


class BuildWithFiles(build_py):
    """Python modules, and the archives that `app.files` reads."""

    def run(self) -> None:
        """Build, and carry. Modules that an earlier build of this folder left would travel along: they go first."""
        built = Path(self.build_lib)
        if not self.editable_mode and built.exists():
            shutil.rmtree(built)
        super().run()
        if not self.editable_mode:
            write_archives(built / "app")


class PackedWheel(bdist_wheel):
    """A wheel whose files are packed as small as its format can say: 1 % less, at some seconds of a build."""

    def run(self) -> None:
        """Build it, and pack it again."""
        super().run()
        for _, _, wheel in self.distribution.dist_files:
            pack_again(Path(wheel))


class Deflate:
    """Packs a file whole, once all of it is here; in place of what `zipfile` packs with."""

    def __init__(self) -> None:
        self._body = b""

    def compress(self, piece: bytes) -> bytes:
        """Nothing yet."""
        self._body += piece
        return b""

    def flush(self) -> bytes:
        """All of it: what zlib's format puts before and after is left out."""
        packed: bytes = zopfli.zlib.compress(self._body, numiterations=15)
        return packed[2:-4]


def pack_again(path: Path) -> None:
    """Pack the files of an archive again, in their order. What is packed by itself stays as it is."""
    packed = path.with_suffix(".packed")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(packed, "w") as new:
        for entry in old.infolist():
            body = old.read(entry)  # before the entry tells where it lies in the new one
            is_packed = entry.filename.endswith((".xz", ".bz2"))
            entry.compress_type = zipfile.ZIP_STORED if is_packed else zipfile.ZIP_DEFLATED
            with new.open(entry, "w") as file:
                if not is_packed:
                    file._compressor = Deflate()  # the module has no name for it
                file.write(body)
    packed.replace(path)


class SdistWithFiles(sdist):
    """Also what a wheel is built from: files that belong to no Python package."""

    def make_distribution(self) -> None:
        """Add them to the list, and pack."""
        self.filelist.extend([*list_files(), "static/package.json", "static/package-lock.json", "constraints.txt"])
        super().make_distribution()


setup(cmdclass={"build_py": BuildWithFiles, "bdist_wheel": PackedWheel, "sdist": SdistWithFiles})
