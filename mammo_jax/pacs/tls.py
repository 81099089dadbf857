"""TLS of both directions, from files in PEM format (PS3.15 B.12: TLS 1.2 or later)."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from mammo_jax.pacs.errors import PacsError


@dataclass(frozen=True)
class TlsFiles:
    """Whom we trust, and what we show.

    Attributes
    ----------
    certificate : Path or None
        Ours, with those between it and its authority. A receiver that has one talks TLS only.
    key : Path or None
        Its private key, without a password.
    authorities : Path or None
        Certificates of those whose word counts. A receiver with this takes nobody without a certificate of theirs; a
        sender without it trusts the authorities of the system.
    """

    certificate: Path | None = None
    key: Path | None = None
    authorities: Path | None = None

    def for_server(self) -> ssl.SSLContext | None:
        """Context of a receiver; None where it has no certificate.

        Raises
        ------
        PacsError
            A file cannot be used, or only part of what TLS needs is given.
        """
        if self.certificate is None:
            if self.key or self.authorities:
                raise PacsError("tls: a receiver needs --tls.certificate and --tls.key")
            return None
        context = self._with_certificate(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))
        if self.authorities is not None:
            self._trust(context, self.authorities)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def for_client(self) -> ssl.SSLContext:
        """Context of a sender, which checks the other's certificate and name.

        Raises
        ------
        PacsError
            A file cannot be used.
        """
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
        if self.authorities is not None:
            self._trust(context, self.authorities)
        return self._with_certificate(context)

    def _with_certificate(self, context: ssl.SSLContext) -> ssl.SSLContext:
        if self.certificate is not None:
            try:
                context.load_cert_chain(self.certificate, self.key, password="")
            except (OSError, ValueError) as error:  # SSLError is an OSError
                raise PacsError(f"{self.certificate}: no certificate with its key in PEM format ({error})") from error
        return context

    @staticmethod
    def _trust(context: ssl.SSLContext, authorities: Path) -> None:
        try:
            context.load_verify_locations(authorities)
        except OSError as error:
            raise PacsError(f"{authorities}: no certificates in PEM format ({error})") from error
