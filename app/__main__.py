"""`python -m app` in a checkout: `mhc-scope`. This folder is no package; it holds the package `mhc_scope`."""

from mhc_scope.__main__ import run

if __name__ == "__main__":
    run()
