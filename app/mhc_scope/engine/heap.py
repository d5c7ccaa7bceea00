"""Keep the memory that a worker frees, which the next tensors need again."""

import ctypes

# Options in glibc's <malloc.h>.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
# Largest size of free memory that is kept at the end of the heap: about what a run of 64 layers needs.
KEPT_BYTES = 128 * 2**20
# Tensors larger than this get their own pages, which are returned to the system. It is the largest value of glibc.
LARGEST_BYTES = 32 * 2**20


def keep_freed_memory() -> None:
    """Make the C library keep freed memory for the next tensors of this process.

    By default glibc returns it to the system immediately, and using a page again costs a page fault: together a fifth
    of the time of an edited run. Other C libraries have no such option.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(M_MMAP_THRESHOLD, LARGEST_BYTES)
        set_option(M_TRIM_THRESHOLD, KEPT_BYTES)
