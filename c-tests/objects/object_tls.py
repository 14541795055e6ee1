"""Object storage behind TLS: a server is believed whose certificate an authority has signed that this
system trusts, and no other.

LICBAK_SO names the library. The system's authorities are replaced in a mount namespace of the library's
process alone.
"""

import os
import pathlib
import shutil
import subprocess
import tempfile

from checks import check, check_that, check_words, finish, skip
from object_bench import OVERWRITE, S_OK, Library, able, can_replace, check_backup, large_store, new_bench, replacing
from object_bench import small_store

# Where the systems that are known keep what they trust.
BUNDLES = "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def make_authority(place, name):
    """Its certificate; the key lies beside it."""
    authority = place / f"{name}.pem"
    options = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", 2, "-subj", f"/CN={name}"]
    openssl("req", *options, "-keyout", authority.with_suffix(".key"), "-out", authority)
    return authority


def make_certificate(authority, host):
    """A certificate for a host, and its key."""
    place, name = authority.parent, f"{authority.stem} for {host}"
    key, asked, signed, more = (place / f"{name}.{end}" for end in ("key", "csr", "pem", "ext"))
    more.write_text(f"subjectAltName=DNS:{host}\n")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={host}", "-keyout", key, "-out", asked)
    by = ["-CA", authority, "-CAkey", authority.with_suffix(".key"), "-CAcreateserial"]
    openssl("x509", "-req", "-in", asked, *by, "-days", 2, "-extfile", more, "-out", signed)
    return signed, key


def trusting(authority):
    """Options of a process for which the system trusts this authority alone."""
    return replacing({bundle: authority for bundle in BUNDLES if os.path.exists(bundle)})


def main():
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        ours, theirs = make_authority(root, "ours"), make_authority(root, "theirs")
        if not can_replace():
            return skip("all", "not root")
        good = new_bench(root, "good", small_store(), tls=make_certificate(ours, "localhost"))
        good.licbak = Library(**trusting(ours))
        check(good.back_up()["code"], S_OK, "a backup by TLS")
        check_backup(good, small_store())
        for name, content in large_store().items():
            (good.store / name).write_bytes(content)
        check(good.back_up(OVERWRITE)["code"], S_OK, "a backup in parts by TLS")
        check(good.read("verify_backup")["code"], S_OK, "a verification by TLS")
        good.close()
        for what, certificate in (
            ("of another authority", make_certificate(theirs, "localhost")),
            ("of another host", make_certificate(ours, "elsewhere")),
        ):
            bench = new_bench(root, what, small_store(), tls=certificate)
            bench.licbak = Library(**trusting(ours))
            answer = bench.back_up()
            check_that(answer["code"] not in (S_OK, "hung"), f"a backup to a server {what}: {answer}")
            check_words(answer["sentence"], "certificate", bench.server.address)
            check(bench.server.log, [], f"requests to a server {what}")
            bench.close()
    finish()


if able() and shutil.which("openssl") is None:
    skip("all", "openssl is not installed")
elif able():
    main()
