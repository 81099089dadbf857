"""Errors of the network that the user can mend."""

from __future__ import annotations

from mammo_jax.errors import UserError


class PacsError(UserError):
    """An address, certificate or archive that does not work; the message says which."""
