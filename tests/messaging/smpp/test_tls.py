"""A session over TLS: only with a centre whose certificate fits."""

import asyncio
import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from postmeter.messaging.carriers.smpp import SmppCarrier
from postmeter.messaging.providers import Outbound, TryLater, smpp
from postmeter.messaging.providers.smpp import Account
from tests.messaging.smpp.line import hurry


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For 127.0.0.1, and its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "smsc.example")]), datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "centre.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.mark.parametrize("trusted", [True, False])
def test_a_centre_is_spoken_to_only_if_its_certificate_fits(
    certificate: Path, trusted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch)
    binds: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readexactly(16)
        binds.append(await reader.readexactly(int.from_bytes(head[:4], "big") - 16))
        writer.write(smpp.unit(smpp.Command.BIND_TRANSCEIVER | smpp.Command.RESPONSE, b"\0", sequence=1))
        await reader.read()
        writer.close()

    async def run() -> object:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
        told = {
            "host": "127.0.0.1",
            "port": str(server.sockets[0].getsockname()[1]),
            "system_id": "a",
            "password": "b",
            "tls": "1",
        }
        async with SmppCarrier(Account.read({**told, "ca": str(certificate) if trusted else ""})) as carrier:
            outcome = await carrier.send(Outbound(1, "+15550100000", "+15550100001", "Hello", ""))
        server.close()
        await server.wait_closed()
        return outcome

    outcome = asyncio.run(run())
    assert isinstance(outcome, TryLater) is not trusted
    assert bool(binds) is trusted
