"""What the service comes through: long trials on real servers, one module each, which print rows of benchmarks.

`python -m tests.endurance NAME [options]` runs one to its end; `docs/endurance.md` keeps what they printed last. Each
trial bounds itself in time, and ends every process that it started. Its short form is a test marked `trial`.
"""
