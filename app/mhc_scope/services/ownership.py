"""Decide who owns a stored view: the client that made it, and anyone with its key."""

import secrets
import time

from mhc_scope.services.errors import NotOwnerError
from mhc_scope.services.identity import ClientIdentity, hash_secret
from mhc_scope.store.snapshots import Owner, StoredSnapshot

KEY_BYTES = 24


def new_owner_key() -> str:
    """Return a new random key for the creator of a snapshot, who can delete it with this key."""
    return secrets.token_urlsafe(KEY_BYTES)


def to_owner(client: ClientIdentity, key: str, keep_s: float) -> Owner:
    """Return the owner to store with a snapshot: the client, the hash of the key that deletes it, and when it expires.

    Snapshots of clients whose token lets them start runs never expire: an operator knows these clients and can contact
    them. Other clients cannot be contacted, and only visits show which of their snapshots are still wanted.
    """
    is_permanent = client.key.startswith("token:") and client.rights in ("run", "admin")
    expires_at = None if is_permanent else time.time() + keep_s
    return Owner(client.key, client.address, hash_secret(key), expires_at, client.room or None)


def require_owner(snapshot: StoredSnapshot, client: ClientIdentity, key: str | None) -> None:
    """Refuse a client that is not the owner of a snapshot; one that sends a key needs the right one.

    Raises
    ------
    NotOwnerError
        If it is not the owner; the text says who may.
    """
    if key is None:
        is_owner = client.owns(snapshot.client)
    else:
        is_owner = secrets.compare_digest(hash_secret(key), snapshot.key_hash or "")
    if is_owner:
        return
    raise NotOwnerError("Only the client that stored this view can delete it, or the view's key as a bearer token.")
