"""Why the store cannot be used."""


class UnusableDatabase(RuntimeError):
    """The database cannot be used as it is; the text says why and what to do."""


class DataInUse(UnusableDatabase):
    """Another server uses the same data folder."""


class StoreUnavailable(RuntimeError):
    """The database cannot be used now; the text says why. The same call may succeed later."""


class ConnectionCut(StoreUnavailable):
    """A connection was cut in the middle of a transaction, which may or may not have been made; others can be had."""
