"""Name the reasons why the store cannot be used."""


class UnusableDatabase(RuntimeError):
    """The database cannot be used in its present state; the text says why and what to do."""


class DataInUse(UnusableDatabase):
    """Another server uses the same data folder."""


class StoreUnavailable(RuntimeError):
    """The database cannot be used now; the text says why. The same call may succeed later."""


class ConnectionCut(StoreUnavailable):
    """A connection was cut during a transaction, which may or may not be committed; a new one can be opened."""
