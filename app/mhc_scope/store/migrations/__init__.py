"""Migrate the tables: one file per change in `versions/`, applied in order when the server starts (Alembic).

To change a table: change `store/tables.py`, add a file to `versions/` that does the same to a database of the
revision before, and add its name to `REVISIONS`. A test compares what the files build with the tables.
"""

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008")
RELEASED, HEAD = REVISIONS[0], REVISIONS[-1]
