"""Let OpenSSL accept whatever certificate a client shows, which Python's `ssl` cannot be asked for.

Makers' TLS libraries can; so there are modules with this mistake, and the kit needs one.
"""

from __future__ import annotations

import _ssl
import ctypes
import ssl
from typing import Final

from ores.conformance.broken.seams import Seams
from ores.link import tls
from ores.link.identity import Identity
from ores.link.pins import Pins

VERIFY_PEER: Final = 1
CONTEXT_OFFSET: Final = object.__basicsize__
"""In CPython's object of a context the pointer of OpenSSL comes right after the object's head."""

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
_yes: Final = _Callback(lambda _verified, _store: 1)


def take_any_certificate(seams: Seams) -> None:
    """Every context of the server asks for a certificate and finds nothing wrong with it."""
    make = tls._server_context  # noqa: SLF001 - the mutation's place

    def credulous(identity: Identity, pins: Pins) -> ssl.SSLContext:
        context = make(identity, pins)
        pointer = ctypes.c_void_p.from_address(id(context) + CONTEXT_OFFSET)
        library = ctypes.CDLL(_ssl.__file__)
        library.SSL_CTX_set_verify.argtypes = (ctypes.c_void_p, ctypes.c_int, _Callback)
        library.SSL_CTX_set_verify.restype = None
        library.SSL_CTX_set_verify(pointer, VERIFY_PEER, _yes)
        return context

    seams.attribute(tls, "_server_context", credulous)
