"""What a module shows to whom it has never met: TLS, its certificate, its identity."""

from __future__ import annotations

import ssl

from ores.conformance.bench import Bench
from ores.conformance.check import Section, Unreachable, fail, need
from ores.conformance.wire.target import connect, context

CERTIFICATE_MAX_BYTES = 1024

section: Section[Bench] = Section(
    "strangers",
    "Looks at the module as a stranger: TLS, certificate, announcement. Nothing is changed.",
    begin=Bench.meet,
)


@section.check("tls-13-only")
async def tls_13_only(bench: Bench) -> None:
    """TLS-001: an offer of TLS 1.2 at most comes to nothing."""
    older = context(lowest=ssl.TLSVersion.TLSv1_2, highest=ssl.TLSVersion.TLSv1_2)
    try:
        raw = await connect(bench.target, older)
    except Unreachable:
        return
    version = raw.tls.version()
    await raw.close()
    fail(f"a client that offers TLS 1.2 at most was let in with {version}; all but 1.3 are to be refused")


@section.check("certificate-size")
async def certificate_size(bench: Bench) -> None:
    """IDENT-005: a small peer keeps it whole."""
    raw = await bench.raw()
    der = raw.tls.getpeercert(binary_form=True) or b""
    await raw.close()
    need(
        len(der) <= CERTIFICATE_MAX_BYTES,
        f"the certificate has {len(der)} bytes in DER; {CERTIFICATE_MAX_BYTES} are the most",
    )
