"""Define the errors of the store."""


class UnusableDatabase(RuntimeError):
    """The database cannot be used in its present state. The message states why and what to do."""


class DataInUse(UnusableDatabase):
    """Another server uses the same data folder."""


class StoreUnavailable(RuntimeError):
    """The database cannot be used now; the message states why. The same call may succeed later."""


class ConnectionCut(StoreUnavailable):
    """A connection was cut during a transaction, which may be committed or not. A new connection can be opened."""
