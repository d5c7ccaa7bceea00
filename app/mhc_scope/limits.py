"""Define limits that nobody has to choose: times, sizes and counts, each with its reason or its unit.

Code reads them at the time of use (`limits.HEARTBEAT_S`), so that a test can start a server with another value.
"""

GIB = 2**30

# Connections. They limit what one slow or greedy client can use.
HEADER_S = 10.0  # until the head of a request must be complete
BODY_S = 30.0  # without progress, after which a body is abandoned
UNREAD_S = 30.0  # after which a client that does not read is cut off
IDLE_S = 75  # that a connection is kept open between two requests; proxies close earlier

# Event streams.
MAX_STREAMS = 512  # over all clients
HEARTBEAT_S = 15.0  # without an event on an event stream before a heartbeat comment

# Bodies.
MAX_BODY_BYTES = 1_000_000
MAX_TRACE_BYTES = 64_000_000  # of a trace, packed and unpacked
MAX_LIVE_TRACES = 16  # that may grow at a time, over all clients
LIVE_TRACE_S = 3600.0  # without a frame, after which a live trace is closed as failed

# The queue.
ADMITTED_MEMORY = 0.5  # of a worker's memory, that a run may be predicted to need
QUEUE_SIZE = 4096  # runs that may wait, over all clients
GRID_CELLS = 256  # of one sweep, which is a grid of runs
MAX_GRID_SECONDS = 600.0  # predicted, of all cells of a sweep
# Predicted time of a run up to which a spare worker takes it, where there are two workers or more and all are busy.
SHORT_RUN_S = 2.0

# The store.
MIN_FREE_BYTES = GIB  # kept free on the disk of the database
KEEP_TRACE_S = 30 * 86_400.0  # after its last use: a trace cannot be computed again
KEEP_SNAPSHOT_S = 180 * 86_400.0  # longer than a term, so that the links of a course hold until the next one
RETENTION_INTERVAL_S = 600.0  # between two deletions of old runs
LOG_CACHE_BYTES = 64_000_000  # frames cached in memory in addition to the database
STORE_WAIT_S = 30.0  # that a frame waits for a database that cannot be written, before its run fails

# Large results, which separate processes write.
ENCODERS = 1
ENCODER_QUEUE = 32  # results that may wait to be written
ENCODE_INSIDE_BYTES = 200_000  # of stored frames, up to which the server itself is faster
ENCODED_BYTES = GIB // 2  # of results kept in the data folder once written
