"""Migrate the tables with Alembic: `versions/` has one file per change, applied in order when the server starts.

To change a table, edit `store/tables.py`, add a file to `versions/` that makes the same change to a database of the
previous revision, and add its name to `REVISIONS`. A test compares the tables that the files build with those of
`store/tables.py`.
"""

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008")
RELEASED, HEAD = REVISIONS[0], REVISIONS[-1]
