"""Servers that are no good store, or an enemy: what they answer costs little, ends an operation with the right
code and a sentence, and loses nothing.

LICBAK_SO names the library.
"""

import os
import pathlib
import resource
import tempfile

from checks import check, check_that, check_words, finish, skip, tell
from databases import make_read_only, with_own_disk
from object_bench import BUCKET, DRY_RUN, EXISTS, MIB, OVERWRITE, S_OK, Library, able, check_backup, files_below
from object_bench import large_store, memory_of, new_bench, small_store, write_store
from object_mishaps import Fault

FOREVER = 10**9
NOT_SUPPORTED, NO_FOLDER, REFUSED = "ERROR_NOT_SUPPORTED", "ERROR_PATH_NOT_FOUND", "E_INVALIDARG"
READS = "verify_backup", "list", "info", "restore_licenses"


def check_ends(answer, code, *words):
    check(answer["code"], code, answer["sentence"])
    check_words(answer["sentence"], *words)
    return answer


def strike(bench, kind, action=None):
    bench.server.forget()
    fault = Fault(kind, count=FOREVER, action=action)
    bench.server.faults = [fault]
    return fault


# -- answers without an end


def endless_lists(root):
    """A list of leftovers that has no end, or very many: a backup goes on, and remembers few of them."""
    bench = new_bench(root, "lists", small_store())
    check_ends(bench.back_up(), S_OK)
    grown = []
    for kind, most in ("endless xml", 0), ("many uploads", 1000), ("endless body", 0), ("page", 0):
        before = memory_of(bench)
        strike(bench, kind, "ListMultipartUploads")
        (bench.store / "new.lic").write_bytes(kind.encode())
        check_ends(bench.back_up(OVERWRITE), S_OK)
        check_backup(bench, files_below(bench.store))
        aborted = len(bench.actions("AbortMultipartUpload"))
        check_that(aborted == most, f"{kind}: {aborted} uploads that are aborted")
        grown.append(f"{kind} {memory_of(bench) - before} KiB")
        check_that(memory_of(bench) - before < 12 << 10, f"memory for a list: {grown}")
    tell("peak memory, more", ", ".join(grown))
    bench.close()


def endless_answers(root):
    """To whatever is asked comes more than a store would say."""
    bench = new_bench(root, "answers", large_store())
    check_ends(bench.back_up(), S_OK)
    kept, before = bench.object(), memory_of(bench)
    for kind in "endless xml", "endless body":
        strike(bench, kind)
        check_ends(bench.back_up(), NOT_SUPPORTED, bench.place, bench.server.address)
        check_ends(bench.back_up(OVERWRITE), NOT_SUPPORTED, bench.place, bench.server.address)
        for operation in READS:
            answer, held = bench.restored(operation)
            check_ends(answer, NOT_SUPPORTED, bench.place, bench.server.address)
            check(held, {}, "what is restored")
    check(bench.object(), kept, "the backup")
    check_that(memory_of(bench) - before < 12 << 10, f"memory for answers: {memory_of(bench) - before} KiB more")
    bench.close()


def little_memory(root):
    """Where memory is refused, an endless answer ends a backup or is passed over; the process lives."""
    bench = new_bench(root, "little memory", small_store())
    bench.licbak.close()
    codes = {}
    for mib in 1, 2, 3, 4, 6, 8, 12, 16, 32:
        for kind in "endless xml", "many uploads":
            strike(bench, kind, "ListMultipartUploads")
            check_ends(bench.back_up(DRY_RUN), S_OK)  # now all is loaded
            size = int(pathlib.Path(f"/proc/{bench.licbak.process.pid}/statm").read_text().split()[0])
            limit = size * resource.getpagesize() + mib * MIB
            resource.prlimit(bench.licbak.process.pid, resource.RLIMIT_AS, (limit, limit))
            process = bench.licbak.process
            answer = bench.back_up(OVERWRITE)
            code = answer["code"]
            if code == "a crash":  # the interpreter may need memory, too, and says so; no signal ends it
                check(process.returncode, 1, f"{mib} MiB, {kind}: the end of the process")
            else:
                check_that(code in (S_OK, "E_OUTOFMEMORY"), f"{mib} MiB, {kind}: {code}: {answer['sentence']}")
            codes[code] = codes.get(code, 0) + 1
            bench.licbak.close()
    tell("little memory", ", ".join(f"{code} {number}" for code, number in sorted(codes.items())))
    check_that(codes.get(S_OK), "one that had enough")
    bench.close()


# -- stores that can do less, or are elsewhere


def no_ranges(root):
    """All is given of which a part was asked for, or no part can be."""
    bench = new_bench(root, "no ranges", large_store())
    check_ends(bench.back_up(), S_OK)
    kept = bench.object()
    for operation in READS:
        strike(bench, "whole", "GetObject")
        answer, _ = bench.restored(operation)
        check_ends(answer, NOT_SUPPORTED, bench.place, "more than was asked for")
    check_ends(bench.back_up(OVERWRITE), NOT_SUPPORTED, bench.place)
    check((bench.object(), len(bench.bucket.uploads)), (kept, 0), "the backup, and uploads left open")
    # A small backup is no more than the end of it that is asked for.
    bench.prefix, bench.store = "small", bench.root / "small"
    write_store(bench.store, small_store())
    check_ends(bench.back_up(), S_OK)
    strike(bench, "whole", "GetObject")
    check_ends(bench.read("info"), S_OK)
    # Who says that there is no such part of it says that there is one.
    strike(bench, "416", "GetObject")
    check_ends(bench.back_up(), EXISTS, bench.place)
    check_ends(bench.read("info"), NOT_SUPPORTED, bench.place, "InvalidRange")
    bench.close()


def elsewhere(root):
    """Nobody is followed to another place: what is signed is for this one."""
    bench = new_bench(root, "elsewhere", small_store())
    strike(bench, "redirect")
    for operation in READS:
        answer, _ = bench.restored(operation)
        check_ends(answer, REFUSED, bench.place, "307", "Endpoint")
    check_ends(bench.back_up(), REFUSED, bench.place, "307", "Endpoint")
    check(bench.bucket.objects, {}, "the objects")
    bench.close()


def few_rights(root):
    """A key that may not look for leftovers, or not abort them, backs up all the same."""
    bench = new_bench(root, "few rights", large_store())
    rights = {"s3:GetObject", "s3:PutObject", "s3:ListBucket"}
    for flags, more in (0, set()), (OVERWRITE, {"s3:ListBucketMultipartUploads"}), (OVERWRITE, {"s3:AbortMultipartUpload"}):
        upload = bench.server.store.create_upload(BUCKET, bench.key(), {})
        bench.bucket.uploads[upload].initiated -= 48 * 60 * 60
        bench.server.rights = rights | more
        (bench.store / "new.lic").write_bytes(str(more).encode())
        check_ends(bench.back_up(flags), S_OK)
        check(list(bench.bucket.uploads), [upload], "uploads that are left, which others may abort")
        bench.bucket.uploads.clear()
        check_backup(bench, files_below(bench.store))
    # Here a backup fails whose upload can't be taken back.
    bench.server.rights = rights
    kept = bench.object()
    (bench.store / "new.lic").write_bytes(b"another")
    bench.server.faults = [Fault("507", action="UploadPart", count=FOREVER)]
    check_ends(bench.back_up(OVERWRITE), "ERROR_DISK_FULL", bench.place)
    check(bench.object(), kept, "the backup")
    bench.close()


def kept_lines(root):
    """What is taken back goes on a connection that is there."""
    bench = new_bench(root, "connections", large_store())
    bench.server.faults = [Fault("403", action="UploadPart", count=FOREVER)]
    check_ends(bench.back_up(), "E_ACCESSDENIED", bench.place)
    check(bench.actions()[-1], "AbortMultipartUpload", "the last request")
    check(len(bench.bucket.uploads), 0, "uploads that are left open")
    check_that(bench.server.connected <= 2, f"a connection for each of two workers at most: {bench.server.connected}")
    bench.close()


# -- the folder for temporary files


def repeat_in(root, name, folder, code, *words):
    """A backup over one, with more that is new than waits in memory."""
    bench = new_bench(root, name, small_store())
    bench.licbak = Library(env={**os.environ, "TMPDIR": str(folder)})
    check_ends(bench.back_up(), S_OK)
    kept = bench.object()
    write_store(bench.store, large_store())
    check_ends(bench.back_up(OVERWRITE), code, str(folder), "TMPDIR", *words)
    check((bench.object(), len(bench.bucket.uploads)), (kept, 0), "the backup, and uploads left open")
    bench.close()


def temporary_folders(root):
    """That what waits has no room is told of the folder where it waits."""
    repeat_in(root, "no folder", root / "nowhere", NO_FOLDER)
    (root / "file").write_bytes(b"")
    repeat_in(root, "no directory", root / "file", "ERROR_DIRECTORY")

    def full(disk):
        repeat_in(root, "full", disk, "ERROR_DISK_FULL", "space")
        check(list(disk.iterdir()), [], "what is left behind")

    def read_only(disk):
        if not make_read_only(disk):
            return skip("a read-only folder for temporary files", "can't be made so")
        repeat_in(root, "read-only", disk, "ERROR_WRITE_PROTECT")

    with_own_disk(root / "disk", b"size=4m", "a full folder for temporary files", full)
    with_own_disk(root / "other disk", b"size=4m", "a read-only folder for temporary files", read_only)


JOBS = temporary_folders, endless_lists, endless_answers, little_memory, no_ranges, elsewhere, few_rights, kept_lines


def main():
    with tempfile.TemporaryDirectory() as directory:
        for job in JOBS:
            job(pathlib.Path(directory))
    finish()


if able():
    main()
