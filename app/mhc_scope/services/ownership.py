"""Decide who owns a snapshot: the client that created it, and anyone with its key."""

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
    """Return the owner to store with a snapshot: the client, the hash of the key, and the time at which it expires.

    Snapshots of clients with a token to start runs never expire, because an operator knows these clients and can
    contact them. For other clients, only visits show which of their snapshots are still needed.
    """
    is_permanent = client.key.startswith("token:") and client.rights in ("run", "admin")
    expires_at = None if is_permanent else time.time() + keep_s
    return Owner(client.key, client.address, hash_secret(key), expires_at, client.room or None)


def require_owner(snapshot: StoredSnapshot, client: ClientIdentity, key: str | None) -> None:
    """Refuse a client that is not the owner of a snapshot. If it sends a key, only the key counts.

    Raises
    ------
    NotOwnerError
        If the client is not the owner.
    """
    if key is None:
        is_owner = client.owns(snapshot.client)
    else:
        is_owner = secrets.compare_digest(hash_secret(key), snapshot.key_hash or "")
    if is_owner:
        return
    raise NotOwnerError("Only the client that stored this view can delete it, or the view's key as a bearer token.")
