"""How a wheel comes to carry what is next to the packages: templates, our part of `static/`, and the files of others.

All else is in pyproject.toml. A checkout and an editable install carry nothing: they read the files where they are.
"""

import json
import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "app"))

from mhc_scope.files import CARRIED, NODE_MODULES  # noqa: E402  (a build has no other path to it)
from mhc_scope.pages.vendored import list_carried, package_of  # noqa: E402

OURS = ("templates", "static/css", "static/js", "static/img", "static/fonts")


def list_files() -> list[str]:
    """Paths in the checkout of all files to carry. Raises where one of others' is missing, or not the lock file's."""
    check_versions()
    ours = [path for folder in OURS for path in (ROOT / folder).rglob("*") if path.is_file()]
    others = [f"{NODE_MODULES}/{path}" for path in list_carried()]
    return sorted([*(path.relative_to(ROOT).as_posix() for path in ours), *others])


def check_versions() -> None:
    """Others' files must be those that static/package-lock.json names."""
    locked = json.loads((ROOT / "static/package-lock.json").read_bytes())["packages"]
    for package in sorted({package_of(path) for path in list_carried()}):
        wanted = locked[f"node_modules/{package}"]["version"]
        about = ROOT / NODE_MODULES / package / "package.json"
        got = json.loads(about.read_bytes())["version"] if about.is_file() else "nothing"
        if got != wanted:
            raise SystemExit(f"{NODE_MODULES} has {got} of {package}, the lock file wants {wanted}: run `make setup`")


class BuildWithFiles(build_py):
    """Python modules, and the files that `mhc_scope.files` reads."""

    def run(self) -> None:
        """Build, and copy. Modules that an earlier build of this folder left would be packed too, so they go first."""
        built = Path(self.build_lib)
        if not self.editable_mode and built.exists():
            shutil.rmtree(built)
        super().run()
        if self.editable_mode:
            return
        for path in list_files():
            target = built / "mhc_scope" / CARRIED.name / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, target)


class SdistWithFiles(sdist):
    """Also what a wheel is built from: files that belong to no Python package."""

    def make_distribution(self) -> None:
        """Add the files of the page to the list of the source distribution, and pack it."""
        static = [f"static/{name}" for name in ("package.json", "package-lock.json", "compress.mjs")]
        self.filelist.extend([*list_files(), *static, "constraints.txt"])
        super().make_distribution()


setup(cmdclass={"build_py": BuildWithFiles, "sdist": SdistWithFiles})
