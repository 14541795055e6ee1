"""What can't be helped is told: keys that are wrong, clocks that are off, places that are not there, servers
that do not answer; and an operation that waits for them can be stopped.

LICBAK_SO names the library.
"""

import concurrent.futures
import contextlib
import pathlib
import socket
import sqlite3
import tempfile

from checks import check, check_that, check_words, finish, tell
from object_bench import (
    BUCKET,
    DRY_RUN,
    OVERWRITE,
    S_OK,
    able,
    files_below,
    large_store,
    licenses_in,
    new_bench,
    settle,
    small_store,
)
from object_mishaps import Fault

DENIED, NO_BUCKET, NO_FILE, REFUSED = "E_ACCESSDENIED", "ERROR_PATH_NOT_FOUND", "ERROR_FILE_NOT_FOUND", "E_INVALIDARG"
UNREACHABLE, TIMEOUT, CANCELED = "ERROR_HOST_UNREACHABLE", "ERROR_TIMEOUT", "NS_E_DRM_OPERATION_CANCELED"
HANDLE = "E_HANDLE"
FOREVER = 10**9
HOUR = 60 * 60
MANY = 100_000  # licences, whose lists are more than what is read first of a backup
# Seconds, which nothing needs that is stopped: a second is promised, and a server is waited for much longer.
LATE, SOON = 8, 60


def check_ends(answer, codes, *words):
    codes = codes if isinstance(codes, tuple) else (codes,)
    check_that(answer["code"] in codes, f"{answer['code']}, expected {codes}: {answer['sentence']}")
    check_words(answer["sentence"], *words)


def every_operation(bench, **changed):
    """The answers of all operations."""
    yield bench.back_up(OVERWRITE, **changed)
    for operation in "verify_backup", "list", "info":
        yield bench.read(operation, **changed)
    for operation, request in ("restore_licenses", None), ("restore_license", {"key_id": "7"}):
        answer, held = bench.restored(operation, request=request, **changed)
        check(held, {}, "what is restored")
        yield answer


def untouched(bench, kept):
    check((bench.object(), len(bench.bucket.uploads)), (kept, 0), "the backup, and uploads left open")


# -- accounts, clocks and places


def accounts(root):
    """A server that is asked by somebody whom it does not know, or at another time."""
    bench = new_bench(root, "accounts", small_store())
    check_ends(bench.back_up(), S_OK)
    kept = bench.object()
    (bench.store / "new.lic").write_bytes(b"new")
    for changed in {"AccessKeyId": "nobody"}, {"SecretAccessKey": "another"}, {"SessionToken": "none-is-needed"}:
        for answer in every_operation(bench, **changed):
            check_ends(answer, DENIED, bench.place)
    for answer in every_operation(bench, Region="another-1"):
        check_ends(answer, (DENIED, REFUSED), bench.place, "another-1")
    for hours in HOUR, -HOUR:
        bench.server.clock = hours
        for answer in every_operation(bench):
            check_ends(answer, DENIED, bench.place, "clock")
    bench.server.clock = 5 * 60
    check_ends(bench.read("verify_backup"), S_OK)
    bench.server.clock = 0
    bench.server.rights = {"s3:GetObject", "s3:ListBucket"}
    check_ends(bench.back_up(OVERWRITE), DENIED, bench.place)
    check_ends(bench.read("verify_backup"), S_OK)
    bench.server.rights = {"s3:PutObject", "s3:ListBucket", "s3:ListBucketMultipartUploads"}
    check_ends(bench.read("verify_backup"), DENIED, bench.place)
    untouched(bench, kept)
    bench.close()


def places(root):
    """Buckets and backups that are not there, and what is no place at all."""
    bench = new_bench(root, "places", small_store())
    elsewhere = {"BackupPath": "s3://nowhere/host", "RestorePath": "s3://nowhere/host"}
    for answer in every_operation(bench, **elsewhere):
        check_ends(answer, NO_BUCKET, "s3://nowhere")
    for operation in "verify_backup", "list", "info":
        check_ends(bench.read(operation), NO_FILE, bench.place)
    bench.close()


# -- servers that don't answer


def persistent(root, name, fault, codes, operation):
    """Goes wrong again and again, until the library gives up."""
    bench = new_bench(root, f"{name} {operation}", small_store())
    check_ends(bench.back_up(), S_OK)
    kept = bench.object()
    (bench.store / "new.lic").write_bytes(b"new")
    changed = {}
    if fault is None:
        changed["Endpoint"] = {"no name": "http://nowhere.invalid", "no port": f"http://localhost:{closed_port()}"}[
            name
        ]
    else:
        bench.server.forget()
        bench.server.faults = [fault]
    answer = bench.back_up(OVERWRITE, **changed) if operation == "backup" else bench.read("verify_backup", **changed)
    bench.server.forget()
    check_ends(answer, codes, bench.place)
    untouched(bench, kept)
    asked = fault and fault.seen
    bench.close()
    return f"{name} {answer['code']}" + (f" after {asked} requests" if asked else "")


def dead_during_a_repeat(root, changes):
    """The network dies when the old backup is read: that ends the repeat as a whole, not frame by frame, and
    what succeeds the old backup is its successor."""
    bench = new_bench(root, f"dead {changes}", large_store())
    check_ends(bench.back_up(), S_OK)
    settle()
    check_ends(bench.back_up(OVERWRITE), S_OK)
    kept, info = bench.object(), bench.read("info")["info"]
    if changes:
        (bench.store / "new.lic").write_bytes(b"new")
    bench.server.forget()
    check_ends(bench.back_up(OVERWRITE | DRY_RUN), S_OK)
    looked = len(bench.server.log)
    bench.server.forget()
    fault = Fault("cut", looked + 2, FOREVER)  # behind the list of what was left
    bench.server.faults = [fault]
    check_ends(bench.back_up(OVERWRITE), UNREACHABLE, bench.place)
    dead = [entry["action"] for entry in bench.server.log if entry["fault"]]
    asked = [action for action in dead if action != "AbortMultipartUpload"]
    check(set(asked), {"GetObject"}, "what was asked of a network that is dead")
    # That of two readers, one of which may have begun another read before the first failure is seen.
    check_that(len(asked) < 60, f"no minute for each frame: {len(asked)} requests")
    bench.server.forget()
    bench.bucket.uploads.clear()  # which nobody could abort
    check(bench.object(), kept, "the backup")
    (bench.store / "new.lic").write_bytes(b"newer")
    check_ends(bench.back_up(OVERWRITE), S_OK)
    later = bench.read("info")["info"]
    check((later["id"], later["generation"]), (info["id"], info["generation"] + 1), "the successor")
    bench.close()
    return f"a repeat {'with' if changes else 'without'} changes after {len(asked)} requests"


def silent_old_backup(root):
    """The old backup can't be asked for its ID and generation, and a minute later it could: who goes on would
    begin a new succession."""
    bench = new_bench(root, "silent", {})
    bench.store = bench.root / "store.db"
    with contextlib.closing(sqlite3.connect(bench.store)) as connection, connection:
        connection.execute("CREATE TABLE license(name TEXT PRIMARY KEY, content BLOB NOT NULL)")
        rows = ((f"{number}.lic", b"%d" % number) for number in range(MANY))
        connection.executemany("INSERT INTO license VALUES (?, ?)", rows)
    check_ends(bench.back_up(), S_OK)
    kept, info = bench.object(), bench.read("info")["info"]
    with contextlib.closing(sqlite3.connect(bench.store)) as connection, connection:
        connection.execute("INSERT INTO license VALUES ('new.lic', x'6E6577')")
    bench.server.forget()
    # Two requests look what is there; no minute has time for so many attempts of one.
    fault = Fault("cut", 3, 25, action="GetObject")
    bench.server.faults = [fault]
    check_ends(bench.back_up(OVERWRITE), UNREACHABLE, bench.place)
    check((bench.object(), bench.actions()[-1]), (kept, "GetObject"), "the backup, and the last request")
    untouched(bench, kept)
    bench.server.forget()
    check_ends(bench.back_up(OVERWRITE), S_OK)
    later = bench.read("info")["info"]
    check((later["id"], later["generation"]), (info["id"], info["generation"] + 1), "the successor")
    bench.close()
    return f"a backup over one that is silent after {fault.struck} requests"


def lost_and_dead(root):
    """The answer to the last request is lost, and then the network: nobody knows whose backup is there."""
    bench = new_bench(root, "lost", small_store())
    check_ends(bench.back_up(), S_OK)
    looked = bench.actions().count("GetObject")
    del bench.bucket.objects[bench.key()]
    bench.server.forget()
    fault = Fault("cut", looked + 1, FOREVER, action="GetObject")
    bench.server.faults = [Fault("lose", action="PutObject"), fault]
    check_ends(bench.back_up(), UNREACHABLE, bench.place)
    check_that(fault.struck, "somebody asks whose backup is there")
    bench.server.forget()
    check(licenses_in(bench.object().content), files_below(bench.store), "the backup, which is there")
    bench.close()
    return f"a lost answer before a dead network after {fault.struck} requests"


def closed_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def servers_that_do_not_answer(root):
    cases = [("no name", None, (UNREACHABLE,)), ("no port", None, (UNREACHABLE,))]
    cases += [(kind, Fault(kind, count=FOREVER), (TIMEOUT,)) for kind in ("stall", "no end")]
    cases += [
        (kind, Fault(kind, count=FOREVER), (UNREACHABLE, TIMEOUT)) for kind in ("cut", "503", "500", "429", "garbage")
    ]
    given = [(*case, operation) for case in cases for operation in ("backup", "verify")]
    with concurrent.futures.ThreadPoolExecutor(len(given) + 4) as pool:
        running = []
        for name, fault, codes, operation in given:
            own = fault and Fault(fault.kind, count=FOREVER)
            running.append(pool.submit(persistent, root, name, own, codes, operation))
        repeats = [pool.submit(dead_during_a_repeat, root, changes) for changes in (False, True)]
        repeats += [pool.submit(job, root) for job in (silent_old_backup, lost_and_dead)]
        told = [future.result() for future in running]
        tell("given up", ", ".join(told[::2] + [future.result() for future in repeats]))


# -- stopping


COMMITS = {"PutObject", "CompleteMultipartUpload"}
OPERATIONS = {
    "a backup": ("backup_licenses", OVERWRITE, "cancel", CANCELED),
    "a verification": ("verify_backup", 0, "cancel", CANCELED),
    "a restore": ("restore_licenses", 0, "cancel", CANCELED),
    "a list": ("list", 0, "destroy", HANDLE),
    "an info": ("info", 0, "destroy", HANDLE),
}


def stop_at(bench, what, fault, kept):
    """Stops an operation while it waits at a request; the seconds that took, None where there was none."""
    name, flags, how, code = OPERATIONS[what]
    server, library = bench.server, bench.licbak
    server.forget()
    server.faults = [fault]
    bench.bucket.objects[bench.key()] = kept
    bench.bucket.uploads.clear()
    if name == "backup_licenses":
        leave(bench, 2)
    paths = {"StorePath": bench.store, "BackupPath": bench.place}
    if name != "backup_licenses":
        paths = {"StorePath": bench.root / "restored", "RestorePath": bench.place}
    library.start(name, flags, {"stop": how}, **(bench.account | paths))
    while not fault.struck and not library.has_answered(0.02):
        pass
    asked = [entry["action"] for entry in server.log]
    library.write()
    commits = asked and asked[-1] in COMMITS
    if fault.struck and commits and not library.has_answered(5):
        server.forget()  # what can't be stopped any more goes on
    answer = bench.ended(name, SOON)
    server.forget()
    check(server.wait_for(lambda: server.under_way == 0), True, f"{what}: the server's end")
    if not fault.struck:
        return None
    case = f"{what} that was stopped at {asked[-3:]}, {fault.kind}: {answer['sentence']}"
    if commits and answer["stop"] == "S_FALSE":
        check(answer["code"], S_OK, case)
        check(licenses_in(bench.object().content), files_below(bench.store), f"{case}: the new backup")
        return 0
    check((answer["stop"], answer["code"]), (S_OK, code), case)
    check(bench.object(), kept, f"{case}: the backup")
    return answer["seconds"]


def leave(bench, count):
    """Uploads of two days before."""
    for _ in range(count):
        upload = bench.server.store.create_upload(BUCKET, bench.key(), {})
        bench.bucket.uploads[upload].initiated -= 48 * HOUR


def stops(root, what, licenses):
    """At each request, while it is not answered, not read, or is to be tried again.

    A backup that is stopped within its last request is either not stopped, or leaves the old one: who says
    that nothing was done must know so.
    """
    bench = new_bench(root, f"stop {what} {len(licenses)}", licenses)
    check_ends(bench.back_up(), S_OK)
    kept = bench.object()
    (bench.store / "new.lic").write_bytes(b"new")
    seconds, left = [], 0
    for kind in "stall", "do and stall", "deaf", "503":
        for number in range(1, 100):
            took = stop_at(bench, what, Fault(kind, number, FOREVER), kept)
            if took is None:
                break
            seconds.append(took)
            left += sum(upload.initiated > bench.server.now() - HOUR for upload in bench.bucket.uploads.values())
        check_that(number > 1, f"{what}: requests to be stopped at")
    bench.close()
    return seconds, left


def stopping(root):
    cases = [(what, licenses) for what in OPERATIONS for licenses in (small_store(), large_store())]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        ended = list(pool.map(lambda case: stops(root, *case), cases))
    seconds, left = [took for one in ended for took in one[0]], sum(one[1] for one in ended)
    tell("stopped", f"{len(seconds)}; the longest took {max(seconds):.2f} s, uploads left open {left}")
    check_that(max(seconds) < LATE, f"no stop waits for a server that is silent: {sorted(seconds)[-9:]}")


def main():
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(servers_that_do_not_answer, root)
            for job in accounts, places, stopping:
                job(root)
            waiting.result()
    finish()


if able():
    main()
