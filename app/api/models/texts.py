"""Texts that people send."""

# PostgreSQL's texts cannot hold U+0000. Only the text of a spec may have it, which is stored as JSON.
NO_NUL = r"^[^\x00]*$"
