"""TLS to real servers, with certificates of authorities that live for one test."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import mfprefect
from mfprefect import DatabaseError, DatabaseUnavailable
from mfprefect_dev.servers import Server, server_class

NOW = dt.datetime.now(dt.UTC)
BOUND = {"postgres": "?sslmode=verify-full&sslrootcert={ca}", "mysql": "?ssl_ca={ca}"}
BY_CA = {
    "postgres": "?sslmode=verify-ca&sslrootcert={ca}",
    "mysql": "?ssl_ca={ca}&ssl_check_hostname=false",
}
UNCHECKED = {"postgres": "?sslmode=require", "mysql": "?ssl_verify_cert=false"}
ENCRYPTED = {
    "postgres": "SELECT 1 FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl",
    "mysql": "SHOW STATUS WHERE variable_name = 'Ssl_cipher' AND value <> ''",
}


Issued = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def certificate(name: str, issuer: Issued | None) -> Issued:
    """Return a certificate and its key: an authority's, or a server's for `localhost`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - dt.timedelta(days=1))
        .not_valid_after(NOW + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if issuer:
        names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def pem(issued: x509.Certificate) -> str:
    return issued.public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Issued]:
    folder = tmp_path_factory.mktemp("ca")
    certificates = {name: certificate(name, None) for name in ("ours", "another")}
    for name, (ca, _) in certificates.items():
        (folder / f"{name}.pem").write_text(pem(ca))
    return folder, certificates["ours"]


@pytest.fixture(scope="module", params=["postgres", "mysql", "mysql9"])
def database_server(
    request: pytest.FixtureRequest, authorities: tuple[Path, Issued]
) -> Iterator[Server]:
    """A private server that offers TLS."""
    # The wheel of PostgreSQL 18 was built without TLS.
    program = "postgres17" if request.param == "postgres" else request.param
    with server_class(program).start() as server:
        private = server.private
        assert private is not None
        issued, key = certificate("localhost", authorities[1])
        encoding = serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL
        text = key.private_bytes(*encoding, serialization.NoEncryption()).decode()
        files = private.write("server.pem", pem(issued)), private.write("server.key", text)
        private.command += (
            ["-c", "ssl=on", "-c", f"ssl_cert_file={files[0]}", "-c", f"ssl_key_file={files[1]}"]
            if server.backend == "postgres"
            else [f"--ssl-cert={files[0]}", f"--ssl-key={files[1]}"]
        )
        server.restart()
        yield server


def url(
    server: Server,
    folder: Path,
    *,
    options: dict[str, str] = BOUND,
    ca: str = "ours",
    host: str = "localhost",
) -> str:
    address = sa.make_url(server.url).set(host=host, query={})
    after = options[server.backend].format(ca=folder / f"{ca}.pem")
    return address.render_as_string(hide_password=False) + after


def is_encrypted(server: Server, given: str) -> bool:
    with mfprefect.connect(given, retry_seconds=20) as store:
        return store.database.read_transaction(
            lambda c: c.exec_driver_sql(ENCRYPTED[server.backend]).one_or_none() is not None
        )


def test_only_the_right_server_of_the_right_authority(
    database_server: Server, authorities: tuple[Path, Issued], caplog: pytest.LogCaptureFixture
) -> None:
    folder, _ = authorities
    assert is_encrypted(database_server, url(database_server, folder))
    for options in (BY_CA, UNCHECKED):
        looser = url(database_server, folder, options=options, host="127.0.0.1")
        assert is_encrypted(database_server, looser)
    caplog.set_level(logging.INFO)
    for wrong in (
        {"ca": "another", "options": BY_CA},
        {"ca": "another"},
        {"host": "127.0.0.1"},
        {"ca": "missing"},
    ):
        with pytest.raises(mfprefect.MfprefectError) as refused:
            is_encrypted(database_server, url(database_server, folder, **wrong))
        assert type(refused.value) is not DatabaseUnavailable, wrong
        password = sa.make_url(database_server.url).password
        assert str(password) not in str(refused.value)
    # What is wrong with a certificate stays wrong: nothing was tried again.
    assert "trying again" not in caplog.text


@pytest.mark.parametrize("plain_server", ["postgres", "mysql", "mysql9"])
def test_a_server_without_tls_is_refused(
    plain_server: str, request: pytest.FixtureRequest, authorities: tuple[Path, Issued]
) -> None:
    folder, _ = authorities
    plain: Server = request.getfixturevalue(f"{plain_server}_server")
    for options in (BOUND, BY_CA, UNCHECKED):
        with pytest.raises(DatabaseError, match=r"SSL|TLS") as refused:
            is_encrypted(plain, url(plain, folder, options=options))
        assert type(refused.value) is DatabaseError
