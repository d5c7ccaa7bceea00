"""The protocol of frames, which workers, store, page and files use; results (columns of a record); and record files."""
