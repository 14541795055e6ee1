"""The whole job on backups in object storage: back up, verify, list, restore, repeat, refuse, encrypt.

LICBAK_SO names the library. `object_storage.py NAMES` does only these jobs.
"""

import os
import pathlib
import re
import sqlite3
import subprocess
import sys
import tempfile

from checks import check, check_that, check_words, finish, skip
from object_bench import BUCKET, CORRUPT, DRY_RUN, ENCRYPTED, EXISTS, MIB, OVERWRITE, OVERWRITE_STORE, PLAIN, S_OK
from object_bench import (
    REGION,
    WRITES,
    Library,
    able,
    can_replace,
    check_backup,
    files_below,
    large_store,
    new_bench,
    replacing,
    settle,
    small_store,
    write_store,
)

RECIPIENT = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa"
IDENTITY = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33"
OTHER_IDENTITY = "AGE-SECRET-KEY-1XMWWC06LY3EE5RYTXM9MFLAZ2U56JJJ36S0MYPDRWSVLUL66MV4QX3S7F6"
DENIED_KEY, NO_KEY, BOTH = "ERROR_DECRYPTION_FAILED", "ERROR_FILE_NOT_FOUND", "ERROR_ALREADY_EXISTS"


def sequential(actions):
    """Those that write, in the order in which they came."""
    return [action for action in actions if action in WRITES]


def check_ends(answer, code, *words):
    check(answer["code"], code, answer["sentence"])
    check_words(answer["sentence"], *words)
    return answer


# -- the whole job


def check_whole_job(bench, licenses):
    """From no backup to one that gives back all."""
    check_ends(bench.read("verify_backup"), NO_KEY, bench.place)
    check_ends(bench.back_up(DRY_RUN), S_OK)
    check(sequential(bench.actions()), [], "a dry run's requests that write")
    answer = check_ends(bench.back_up(), S_OK)
    check(answer["figures"]["done"], len(licenses), "licences done")
    first = check_backup(bench, licenses)

    check_ends(bench.read("verify_backup"), S_OK)
    listed = check_ends(bench.read("list"), S_OK)["licenses"]
    check({name: size for name, _, size, *_ in listed}, {n: len(c) for n, c in licenses.items()}, "what is listed")
    info = check_ends(bench.read("info"), S_OK)["info"]
    size = len(first.content)
    check((info["licenses"], info["backup_bytes"], info["generation"]), (len(licenses), size, 1), "the info")
    answer, held = bench.restored()
    check_ends(answer, S_OK)
    check(held, licenses, "what is restored")
    name, key_id = listed[0][:2]
    answer, held = bench.restored("restore_license", request={"key_id": key_id})
    check_ends(answer, S_OK)
    check(held.get(name), licenses[name], "one licence that is restored")
    answer, held = bench.restored("restore_license", request={"key_id": "none has this"})
    check_ends(answer, "ERROR_NOT_FOUND", "none has this")
    check(held, {}, "what is restored of a licence that is not there")
    answer, held = bench.restored(flags=DRY_RUN)
    check_ends(answer, S_OK)
    check(held, {}, "what a dry run restores")

    check_ends(bench.back_up(), EXISTS, bench.place)
    asked = len(bench.server.log)
    for flags in DRY_RUN, DRY_RUN | OVERWRITE:
        answer = check_ends(bench.back_up(flags), S_OK)
        check(answer["figures"]["done"], len(licenses), "licences done of a dry run over a backup")
    check(sequential(bench.actions()[asked:]), [], "a dry run's requests that write")
    check(bench.object(), first, "the backup that is there")
    return first, info


def check_repeats(bench, licenses, first, info):
    """What is unchanged is not written, and what is new is."""
    settle()
    bench.server.forget()
    check_ends(bench.back_up(OVERWRITE), S_OK)
    second = bench.object()
    bench.server.forget()
    check_ends(bench.back_up(OVERWRITE), S_OK)
    check(sequential(bench.actions()), [], "what a repeat writes that has nothing to change")
    check(bench.object(), second, "the backup that is there")

    changed = dict(licenses, **{"f1/new.lic": b"a new licence"})
    del changed["f0/0.lic"]
    (bench.store / "f1/new.lic").write_bytes(changed["f1/new.lic"])
    (bench.store / "f0/0.lic").unlink()
    answer = check_ends(bench.back_up(OVERWRITE), S_OK)
    check(answer["figures"]["done"], len(changed), "licences done")
    check_backup(bench, changed)
    later = check_ends(bench.read("info"), S_OK)["info"]
    check(later["id"], info["id"], "the id")
    check_that(later["generation"] > info["generation"], f"a later generation: {later}")
    answer, held = bench.restored()
    check_ends(answer, S_OK)
    check(held, changed, "what is restored")


def check_damage(bench):
    """What was altered on the server is not restored."""
    kept = bench.object()
    content = bytearray(kept.content)
    content[100] ^= 1
    bench.bucket.objects[bench.key()] = kept._replace(content=bytes(content))
    check_ends(bench.read("verify_backup"), CORRUPT, bench.place)
    answer, held = bench.restored()
    check_ends(answer, CORRUPT, bench.place)
    check(held, {}, "what is restored of a damaged backup")
    for content in b"", b"no backup", kept.content[:-1], kept.content[: len(kept.content) // 2]:
        bench.bucket.objects[bench.key()] = kept._replace(content=content)
        check_ends(bench.read("verify_backup"), CORRUPT, bench.place)
    check_ends(bench.back_up(), EXISTS)
    check_ends(bench.back_up(OVERWRITE), S_OK)
    check_backup(bench, files_below(bench.store))


def small_job(root):
    licenses = small_store()
    bench = new_bench(root, "small", licenses)
    first, info = check_whole_job(bench, licenses)
    check_repeats(bench, licenses, first, info)
    check_damage(bench)
    bench.close()


# -- in parts


def large_job(root):
    """Several parts; a repeat has the server copy what it takes over."""
    licenses = large_store()
    bench = new_bench(root, "large", licenses)
    first, info = check_whole_job(bench, licenses)
    check_that(first.etag.rstrip('"').endswith("-2"), f"an object of two parts of 16 MiB at most: {first.etag}")
    parts = [entry["received"] for entry in bench.server.log if entry["action"] == "UploadPart"]
    check_that(len(parts) == 2 and max(parts) < 17 * MIB, f"parts of 16 MiB: {parts}")
    check_repeats(bench, licenses, first, info)
    bench.server.forget()
    (bench.store / "f1/new.lic").write_bytes(b"changed again")
    check_ends(bench.back_up(OVERWRITE), S_OK)
    check_backup(bench, files_below(bench.store))
    check("UploadPartCopy" in bench.actions(), True, f"a copy by the server, among {bench.actions()}")
    sent = sum(entry["received"] for entry in bench.server.log)
    check_that(sent < 12 * MIB, f"little is sent of what the server can copy: {sent}")
    refused = {(entry["action"], entry["status"]) for entry in bench.server.log if entry["status"] >= 300}
    check_that(refused <= {("HeadObject", 404), ("GetObject", 404)}, f"all is well but what is not there: {refused}")
    bench.close()


def equal_parts(root):
    """A server that takes parts of one size alone: what is taken over is copied in such."""
    bench = new_bench(root, "equal parts", large_store(count=6))
    bench.server.store.equal_parts = True
    check_ends(bench.back_up(), S_OK)
    settle()
    check_ends(bench.back_up(OVERWRITE), S_OK)
    for name in "0 large.lic", "f1/1.lic", "f2/new.lic":
        (bench.store / name).write_bytes(b"changed")
        bench.server.forget()
        check_ends(bench.back_up(OVERWRITE), S_OK)
        check_backup(bench, files_below(bench.store))
        check_that("UploadPartCopy" in bench.actions(), f"a copy by the server, among {bench.actions()}")
    bench.close()


def by_address(root):
    """An endpoint may be an address of IPv6."""
    try:
        bench = new_bench(root, "by address", small_store(), host="::1")
    except OSError as error:
        return skip("an endpoint of IPv6", error.strerror)
    check_ends(bench.back_up(), S_OK)
    check_backup(bench, small_store())
    check_ends(bench.read("verify_backup"), S_OK)
    bench.close()


def locked(root):
    """A bucket that locks what is put asks for its digest."""
    bench = new_bench(root, "locked", small_store())
    bench.server.store.locks = True
    check_ends(bench.back_up(), S_OK)
    check_backup(bench, small_store())
    write_store(bench.store, large_store())
    check_ends(bench.back_up(OVERWRITE), S_OK)
    check_backup(bench, files_below(bench.store))
    bench.close()


def leftovers(root):
    """Uploads that were begun over a day ago are aborted, others and other keys' are left alone."""
    bench = new_bench(root, "leftovers", small_store())
    day = 24 * 60 * 60
    ages = {"old": 2 * day, "a day and some": day + 600, "not yet a day": day - 600, "new": 5}
    store = bench.server.store
    made = {}
    for key in bench.key(), "other/" + PLAIN, bench.key() + ".other", bench.prefix:
        for age, seconds in ages.items():
            upload_id = store.create_upload(BUCKET, key, {})
            store.buckets[BUCKET].uploads[upload_id].initiated -= seconds
            made[upload_id] = (key, age)
    check_ends(bench.back_up(), S_OK)
    aborted = {what for upload_id, what in made.items() if upload_id not in bench.bucket.uploads}
    check(aborted, {(bench.key(), "old"), (bench.key(), "a day and some")}, "uploads that are aborted")
    bench.close()


# -- encrypted


def encrypted_job(root):
    """An encrypted backup is another object, and the one kind never takes the other's place."""
    licenses = dict(large_store(each=7 * MIB), **{"x.lic": b"secret words" * 1000})
    bench = new_bench(root, "encrypted", licenses)
    check_ends(bench.back_up(Recipients=RECIPIENT), S_OK)
    check(list(bench.bucket.objects), [bench.key(ENCRYPTED)], "the objects")
    check_that(b"secret words" not in bench.object(ENCRYPTED).content, "no plain text on the server")
    check_ends(bench.read("verify_backup", Identities=IDENTITY), S_OK)
    check_ends(bench.read("verify_backup"), DENIED_KEY)
    check_ends(bench.read("verify_backup", Identities=OTHER_IDENTITY), DENIED_KEY)
    check(check_ends(bench.read("info", Identities=IDENTITY), S_OK)["info"]["encrypted"], 1, "encrypted")
    check_ends(bench.back_up(Recipients=RECIPIENT), EXISTS)
    for flags in 0, OVERWRITE:
        check_ends(bench.back_up(flags), EXISTS)
    check(list(bench.bucket.objects), [bench.key(ENCRYPTED)], "the objects")
    (bench.store / "y.lic").write_bytes(b"another")
    check_ends(bench.back_up(OVERWRITE, Recipients=RECIPIENT, Identities=IDENTITY), S_OK)
    answer, held = bench.restored(Identities=IDENTITY)
    check_ends(answer, S_OK)
    check(held, files_below(bench.store), "what is restored")
    check(len(bench.bucket.uploads), 0, "uploads that are left open")

    bench.prefix = "plain"
    check_ends(bench.back_up(), S_OK)
    for flags in 0, OVERWRITE:
        check_ends(bench.back_up(flags, Recipients=RECIPIENT), EXISTS)
    check_ends(bench.read("verify_backup", Identities=IDENTITY), DENIED_KEY)
    bench.bucket.objects[bench.key(ENCRYPTED)] = bench.object()
    check_ends(bench.read("verify_backup"), BOTH)
    check_ends(bench.read("list"), BOTH)
    bench.close()


# -- where it is


def odd_places(root):
    """Names of all kinds are kept byte for byte; a backup can be named itself."""
    licenses = small_store()
    bench = new_bench(root, "odd", licenses)
    odd = [
        "",
        "a b",
        "ü/日本 語",
        "a+b",
        "100%",
        "a%20b",
        "q?x=1&y=2#z",
        "~'()!*;,:@$=[]{}|^`<>\"",
        "a//b",
        "/a",
        "d/../e",
        "x" * 900,
    ]
    for prefix in odd:
        bench.prefix = prefix
        check_ends(bench.back_up(), S_OK)
        check_backup(bench, licenses)
        check_ends(bench.read("verify_backup"), S_OK)
        check_ends(bench.back_up(OVERWRITE), S_OK)
        check(bench.bucket.objects.pop(bench.key(), None) is None, False, f"{prefix!r}")
    check(bench.bucket.objects, {}, "objects elsewhere")

    bench.prefix = "host"
    check_ends(bench.back_up(BackupPath=f"s3://{BUCKET}/host/"), S_OK)
    kept = check_backup(bench, licenses)
    check_ends(bench.read("verify_backup", RestorePath=f"s3://{BUCKET}/host/"), S_OK)
    check_ends(bench.read("verify_backup", RestorePath=f"s3://{BUCKET}/host/{PLAIN}"), S_OK)
    bench.bucket.objects["archive/2026 backup.bin"] = kept
    answer, held = bench.restored(RestorePath=f"s3://{BUCKET}/archive/2026 backup.bin")
    check_ends(answer, S_OK)
    check(held, licenses, "what is restored of a backup of another name")
    check_ends(bench.read("verify_backup", RestorePath=f"s3://{BUCKET}/archive"), NO_KEY, "archive")
    bench.close()


def by_name(root):
    """An endpoint that begins with the bucket's name has it in no path."""
    if not can_replace():
        return skip("buckets in names of hosts", "not root")
    bench = new_bench(root, "by name", small_store())
    hosts = root / "hosts"
    hosts.write_text(f"127.0.0.1 {BUCKET}.store.example\n")
    bench.licbak = Library(**replacing({"/etc/hosts": hosts}))
    bench.account["Endpoint"] = f"http://{BUCKET}.store.example:{bench.server.port}"
    bench.prefix = "a host/ü"
    for flags, code in (0, S_OK), (0, EXISTS), (OVERWRITE, S_OK):
        check_ends(bench.back_up(flags), code)
    check_backup(bench, small_store())
    check(list(bench.bucket.objects), [bench.key()], "the objects")
    check_ends(bench.read("verify_backup"), S_OK)
    bench.close()


def databases(root):
    """Rows of a database go there, and come back."""
    licenses = small_store()
    bench = new_bench(root, "databases", licenses)
    bench.store = root / "databases/store.db"
    connection = sqlite3.connect(bench.store)
    connection.execute("CREATE TABLE license(name TEXT PRIMARY KEY, content BLOB NOT NULL)")
    connection.executemany("INSERT INTO license VALUES (?, ?)", licenses.items())
    connection.commit()
    connection.close()
    check_ends(bench.back_up(), S_OK)
    check_backup(bench, licenses)
    target = root / "databases/target.db"
    answer = bench.read("restore_licenses", OVERWRITE_STORE, StorePath=target)
    check_ends(answer, S_OK)
    connection = sqlite3.connect(target)
    check(dict(connection.execute("SELECT name, content FROM license")), licenses, "the rows")
    connection.close()
    bench.close()


def stores_of_servers(root):
    """A server that refuses conditions is told; one that has them for puts only is, where it matters."""
    bench = new_bench(root, "conditions", small_store())
    bench.server.store.conditions = "refused"
    check_ends(bench.back_up(), "ERROR_NOT_SUPPORTED", bench.place)
    check(bench.bucket.objects, {}, "the objects")
    bench.server.store.conditions = "put only"
    check_ends(bench.back_up(), S_OK)
    write_store(bench.store, large_store())
    kept = bench.object()
    check_ends(bench.back_up(OVERWRITE), "ERROR_NOT_SUPPORTED", bench.place)
    check((bench.object(), len(bench.bucket.uploads)), (kept, 0), "the backup, and uploads left open")
    bench.server.store.conditions = "ignored"
    check_ends(bench.back_up(OVERWRITE), S_OK)
    check_backup(bench, files_below(bench.store))
    check_ends(bench.back_up(), EXISTS)
    bench.close()


def accounts(root):
    """A session's token goes with each request."""
    bench = new_bench(root, "token", small_store(), keys={"ASIAEXAMPLE": ("a secret/with+signs=", "a token/+=")})
    check_ends(bench.back_up(), S_OK)
    check_ends(bench.read("verify_backup"), S_OK)
    check_ends(bench.back_up(OVERWRITE, SessionToken="another"), "E_ACCESSDENIED", bench.place)
    bench.close()


PROJECT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = """
#include <licbak.h>
static licbak_hresult LICBAK_CALL ignore(licbak_status status, licbak_hresult hr, licbak_datatype type,
                                         const uint8_t *value, size_t size, void *context)
{
    (void)status, (void)hr, (void)type, (void)value, (void)size, (void)context;
    return LICBAK_S_OK;
}
int main(int count, char **words)
{
    licbak_restorer *restorer;
    licbak_hresult outcome = LICBAK_E_FAIL;
    const char *key_id = words[1], *secret = words[count - 1];
    licbak_create(&restorer);
    licbak_set_prop_string(restorer, "StorePath", "licenses");
    %s
    if (licbak_backup_licenses(restorer, 0, ignore, NULL) != LICBAK_S_OK)
        return 2;
    licbak_wait(restorer, 60000, &outcome);
    licbak_destroy(restorer);
    return outcome != LICBAK_S_OK;
}
"""


def page(root):
    """What docs/object-storage.md says of C and Python does it, as it stands there but for the place."""
    bench = new_bench(root, "host17", {})
    text = (PROJECT / "docs/object-storage.md").read_text()
    text = text.replace("s3://backups/host17", bench.place)
    snippets = dict(re.findall(r"```(c|python)\n(.*?)```", text, re.DOTALL))
    account, place = bench.account, root / "page"
    licenses = small_store()
    write_store(place / "licenses", licenses)
    known = snippets["c"].replace("https://minio.example:9000", account["Endpoint"]).replace("us-east-1", REGION)
    (place / "program.c").write_text(PROGRAM % known)
    library = pathlib.Path(os.environ["LICBAK_SO"])
    links = ["-I", PROJECT / "include", library, f"-Wl,-rpath,{library.parent}"]
    subprocess.run(["cc", "-o", "program", "program.c", *links], check=True, cwd=place)
    key_id, secret = account["AccessKeyId"], account["SecretAccessKey"]
    subprocess.run(["./program", key_id, secret], check=True, cwd=place)
    check_backup(bench, licenses)
    first = bench.object()

    licenses["new.lic"] = b"new"
    write_store(place / "licenses", licenses)
    variables = {"AWS_ENDPOINT_URL": account["Endpoint"], "AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": key_id}
    variables |= {"AWS_SECRET_ACCESS_KEY": secret, "PYTHONPATH": PROJECT / "python/src", "LICBAK_LIBRARY": library}
    script = [sys.executable, "-B", "-c", "import licbak\n" + snippets["python"]]
    subprocess.run(script, check=True, cwd=place, env={**os.environ, **variables})
    check_backup(bench, licenses)
    check_that(bench.object() != first, "the backup is another")
    bench.close()


JOBS = small_job, large_job, equal_parts, locked, leftovers, encrypted_job, odd_places, by_name, databases
JOBS += by_address, stores_of_servers, accounts, page


def main(names):
    with tempfile.TemporaryDirectory() as directory:
        for job in JOBS:
            if job.__name__ in names or not names:
                job(pathlib.Path(directory))
    finish()


if able():
    main(sys.argv[1:])
