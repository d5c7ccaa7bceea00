"""Run `mhc-scope` as `python -m app` in a checkout. This folder is no package; it contains the package `mhc_scope`."""

from mhc_scope.__main__ import run

if __name__ == "__main__":
    run()
