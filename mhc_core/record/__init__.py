"""The protocol: frames, columns and results, which workers, store, page and files all speak; and records in files."""
