"""Change the tables, one file per revision, named by its number and what it changes."""
