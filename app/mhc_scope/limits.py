"""Define limits that are not settings: times, sizes and numbers, each with its meaning or reason.

Code must read them when it uses them (`limits.HEARTBEAT_S`), so that a test can start a server with other values.
"""

GIB = 2**30

# Connections. They limit what one slow or greedy client can use.
HEADER_S = 10.0  # time until the headers of a request must be complete
BODY_S = 30.0  # time after which a body without progress is given up
UNREAD_S = 30.0  # time after which a client that does not read is disconnected
IDLE_S = 75  # time for which a connection is kept open between two requests; proxies close theirs earlier

# Event streams.
MAX_STREAMS = 512  # largest number of open event streams of all clients
HEARTBEAT_S = 15.0  # time without an event after which an event stream sends a comment

# Bodies.
MAX_BODY_BYTES = 1_000_000
MAX_TRACE_BYTES = 64_000_000  # largest size of a recording, both compressed and decompressed
MAX_LIVE_TRACES = 16  # largest number of recordings that grow at the same time, of all clients
LIVE_TRACE_S = 3600.0  # time without a frame after which a live recording is ended as failed

# The queue.
ADMITTED_MEMORY = 0.5  # largest share of a worker's memory that a run may be predicted to need
QUEUE_SIZE = 4096  # largest number of waiting runs of all clients
GRID_CELLS = 256  # largest number of runs in a sweep
MAX_GRID_SECONDS = 600.0  # largest predicted time of all runs of a sweep
# Largest predicted time of a run that a spare worker takes, if there are two workers or more and all are busy.
SHORT_RUN_S = 2.0

# The store.
MIN_FREE_BYTES = GIB  # free space that is left on the disk of the database
KEEP_TRACE_S = 30 * 86_400.0  # time for which a recording is kept after its last use; it cannot be computed again
KEEP_SNAPSHOT_S = 180 * 86_400.0  # longer than a term, so that the links of a course work until the next one
RETENTION_INTERVAL_S = 600.0  # time between two deletions of old runs
LOG_CACHE_BYTES = 64_000_000  # size of frames that are cached in memory in addition to the database
STORE_WAIT_S = 30.0  # time for which a frame waits for an unavailable database before its run fails

# Large results, which separate processes write.
ENCODERS = 1
ENCODER_QUEUE = 32  # largest number of results that wait to be written
ENCODE_INSIDE_BYTES = 200_000  # size of stored frames up to which the server itself is faster
ENCODED_BYTES = GIB // 2  # size of written results that are kept in the data folder
