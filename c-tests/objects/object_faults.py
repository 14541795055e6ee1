"""Each request of a backup, a repeat, a restore and a verification goes wrong in each way: what is on the
server is the old backup or the new one, and the outcome says which.

LICBAK_SO names the library. A sample is tried, which LICBAK_SEED chooses; with LICBAK_TORTURE set,
all. `object_faults.py WORDS` tries all whose description has the words, and says how each ends.
"""

import collections
import concurrent.futures
import os
import random
import shutil
import sys
import tempfile

from checks import check, check_that, count, finish, tell
from object_bench import BUCKET, CORRUPT, EXISTS, OVERWRITE, S_OK, Bench, able, files_below, large_store, licenses_in
from object_bench import memory_of, new_bench, settle, small_store
from object_mishaps import ANSWERS, KINDS, Fault

SAMPLE = 32  # of each scene
MEMORY_MAX = 300 << 10  # KiB
DENIED, NOT_SUPPORTED, FULL = "E_ACCESSDENIED", "ERROR_NOT_SUPPORTED", "ERROR_DISK_FULL"
NOT_FOUND, CHANGED = "ERROR_FILE_NOT_FOUND", "ERROR_SHARING_VIOLATION"
OTHER = "E_FAIL", "ERROR_HOST_UNREACHABLE"
# What passes, so that the same again is right: a fault of this kind is not to be noticed.
PASSES = {"refuse", "cut", "reset", "lose", "cut answer", "cut body", "close after", "delay", "drip", "fail after"}
PASSES |= {"spaces", "long tag", "400", "408", "429", "500", "502", "503", "504"}
# What a client has to wait for, and then passes too: some of them, where not all is tried.
WAITS = ["stall", "do and stall", "deaf"]
COMMITS = {"PutObject", "CompleteMultipartUpload"}
LOSSES = ["lose", "reset", "cut answer", "fail after", "cut upload", "409", "412", "gone", "no body", "error in 200"]
# Answers that make no sense for what was asked.
SENSELESS = {"flip", "page", "no body", "error in 200", "short length", "redirect", "whole", "other range", "416"}
SENSELESS |= {"endless body", "endless xml", "long length"}
# Where an answer is of no use, the operation may go on: what it would have cleared away stays.
OPTIONAL = {"ListMultipartUploads", "AbortMultipartUpload"}
# Likewise: a backup takes nothing over from one that can't be read or copied.
OLD = {"GetObject", "UploadPartCopy"}
LOST_UPLOADS = {"lose", "do and stall", "cut answer", "cut body", "fail after", "flip", "short length", "long length"}


def allowed(kind, action, reads):
    """How an operation may end for which a request went wrong once; S_OK is judged by what it did."""
    if kind in PASSES or kind in WAITS:
        return {S_OK}
    goes_on = OPTIONAL if reads else OPTIONAL | OLD
    codes = {S_OK} if action in goes_on or kind not in ("403", "501") else set()
    # A repeat reads, too, what is gone meanwhile.
    lost = {CHANGED} if reads else {CHANGED, EXISTS}
    by_kind = {
        "403": {DENIED},
        "404": {NOT_FOUND, *lost, *OTHER},
        "404 upload": {NOT_FOUND, CHANGED, *lost, *OTHER},
        "409": {EXISTS},
        "409 aborted": {EXISTS},
        "gone": {CHANGED},  # nobody's backup has come in its place
        "412": {*lost, *OTHER},
        "501": {NOT_SUPPORTED},
        "507": {FULL},
    }
    codes |= by_kind.get(kind, set(OTHER))
    if kind in SENSELESS:  # as of a store that knows no ranges, no tags, or another bucket by this name
        codes |= {NOT_SUPPORTED, "E_INVALIDARG", CHANGED}
        # What is read may be wrong in a way that only the reader's digests can tell.
        codes |= {CORRUPT} if reads else set()
    if kind == "416":  # there is an object, which is shorter than what is asked for
        codes |= {"ERROR_ALREADY_EXISTS" if reads else EXISTS}
    return codes


class FaultBench(Bench):
    """Counts what is wrong, and goes on."""

    def __init__(self, root, **more):
        super().__init__(root, **more)
        self.wrong, self.case, self.struck = collections.Counter(), "", collections.Counter()

    def untidy(self, what):
        self.report("untidy", what)

    def report(self, kind, what):
        self.wrong[kind] += 1
        print(f"object_faults: {self.case}: {kind}: {what:.1500}", file=sys.stderr, flush=True)


# -- scenes: what is on the server and in the store, what is done, and what must have come of it


def back_up(flags):
    def operate(bench):
        return bench.back_up(flags)

    return operate


def restore(bench):
    shutil.rmtree(bench.root / "restored", ignore_errors=True)
    return bench.read("restore_licenses", StorePath=bench.root / "restored")


def restore_one(bench):
    shutil.rmtree(bench.root / "restored", ignore_errors=True)
    return bench.read("restore_license", request={"key_id": "7"}, StorePath=bench.root / "restored")


def verify(bench):
    return bench.read("verify_backup")


def change(bench):
    (bench.store / "f1/new.lic").write_bytes(b"a new licence")
    (bench.store / "f0/0.lic").unlink()


def leftover(bench):
    upload = bench.server.store.create_upload(BUCKET, bench.key(), {})
    bench.bucket.uploads[upload].initiated -= 2 * 24 * 60 * 60


# What the store holds, whether a backup is there already, and what is done then.
SCENES = {
    "first": (small_store, False, back_up(0)),
    "first in parts": (large_store, False, back_up(0)),
    "repeat": (small_store, True, back_up(OVERWRITE)),
    "repeat in parts": (large_store, True, back_up(OVERWRITE)),
    "restore": (small_store, None, restore),
    "restore of parts": (large_store, None, restore),
    "one licence": (small_store, None, restore_one),
    "verify": (large_store, None, verify),
}


class Scene:
    def __init__(self, root, name):
        self.name = name
        licenses, self.repeats, self.operate = SCENES[name]
        self.bench = bench = new_bench(root, name, licenses(), FaultBench)
        self.reads = self.repeats is None
        if self.repeats is not False:
            settle()
            check(bench.back_up()["code"], S_OK, f"{name}: a backup")
        if self.repeats:
            change(bench)
        self.expected = files_below(bench.store)
        if name == "one licence":
            self.expected = {key: content for key, content in self.expected.items() if key.endswith("/7.lic")}
        self.before = dict(bench.bucket.objects)
        self.reset([])
        check(self.operate(bench)["code"], S_OK, f"{name}: without a fault")
        check(self.done(), True, f"{name}: what came of it")
        self.requests = bench.actions()

    def reset(self, faults):
        server = self.bench.server
        server.forget()
        self.bench.bucket.objects = dict(self.before)
        self.bench.bucket.uploads.clear()
        if not self.reads:
            leftover(self.bench)
        self.leftovers = set(self.bench.bucket.uploads)
        server.faults = faults

    def done(self):
        """Whether all is as it must be after S_OK."""
        if self.name == "verify":
            return True
        if self.reads:
            return files_below(self.bench.root / "restored") == self.expected
        found = self.bench.object()
        return (
            found is not None
            and found != self.before.get(self.bench.key())
            and licenses_in(found.content) == self.expected
        )

    def untouched(self):
        """Whether all is as it must be after a failure."""
        if self.reads:
            held = files_below(self.bench.root / "restored")
            return held.items() <= self.expected.items()
        return self.bench.bucket.objects == self.before

    def cases(self):
        for number in range(1, len(self.requests) + 1):
            for kind in [*KINDS, *ANSWERS]:
                for times in (1, 2):
                    yield kind, number, times

    def at_commit(self):
        """What is always tried: an answer to the request that makes a backup visible is lost, or says no."""
        commits = [number for number, action in enumerate(self.requests, 1) if action in COMMITS]
        return [(kind, number, 1) for number in commits for kind in LOSSES]

    def try_one(self, kind, number, times, tells):
        bench, fault = self.bench, Fault(kind, number, times, seconds=0.1)
        bench.case = f"{self.name}: {kind} at {number}{' twice' if times > 1 else ''}"
        self.reset([fault])
        answer = self.operate(bench)
        check_that(bench.server.wait_for(lambda: bench.server.under_way == 0), f"{bench.case}: the server's end")
        code = answer["code"]
        struck = [entry["action"] for entry in bench.server.log if entry["fault"]]
        if tells:
            print(f"object_faults: {bench.case}: {struck} {code}: {answer['sentence']}", flush=True)
        self.judge(kind, code, answer["sentence"], struck)

    def judge(self, kind, code, sentence, struck):
        bench = self.bench
        count()
        bench.struck["S_OK" if code == S_OK else "refused"] += 1
        if code in ("hung", "a crash"):
            return bench.report(code, sentence)
        codes = set.union(*(allowed(kind, action, self.reads) for action in struck)) if struck else {S_OK}
        if code not in codes:
            bench.report("wrong code", f"{code} for {struck}, expected {codes}: {sentence}")
        if code != S_OK and bench.place not in sentence and bench.server.address not in sentence:
            bench.report("wrong sentence", f"{code}: {sentence!r}")
        if code == S_OK and not self.done():
            bench.report("torn", f"S_OK, and not all is there: {[e['action'] for e in bench.server.log]}")
        if code != S_OK and not self.untouched():
            held = None if self.reads else bench.object()
            how = "lost" if held is None or licenses_in(held.content) != self.expected else "done"
            bench.report(how, f"{code}, and something was changed: {sentence}")
        left = len(bench.bucket.uploads)
        if code != S_OK:  # it may not have come to those of the day before
            left = sum(upload not in self.leftovers for upload in bench.bucket.uploads)
        owed = sum(action == "CreateMultipartUpload" and kind in LOST_UPLOADS for action in struck)
        if left > owed and not OPTIONAL & set(struck):
            bench.report("left open", f"{code}: {left} uploads")
        bench.struck["left to the next day"] += left


def try_scene(root, name, words):
    scene = Scene(root, name)
    cases = list(scene.cases())
    if words:
        cases = [case for case in cases if words in f"{name}: {case[0]} at {case[1]}{' twice' if case[2] > 1 else ''}"]
    elif "LICBAK_TORTURE" not in os.environ:
        choose = random.Random(f"{name} {os.environ.get('LICBAK_SEED', '1')}")
        waits = [choose.choice([case for case in cases if case[0] in WAITS and case[2] == 1])]
        cases = [case for case in cases if case[0] not in WAITS]
        cases = waits + scene.at_commit() + choose.sample(cases, min(SAMPLE, len(cases)))
    for case in cases:
        scene.try_one(*case, bool(words))
    memory = memory_of(scene.bench)
    scene.bench.close()
    return scene.bench.struck, scene.bench.wrong, memory


def main(words):
    with tempfile.TemporaryDirectory() as directory, concurrent.futures.ThreadPoolExecutor(len(SCENES)) as pool:
        names = [name for name in SCENES if name in words] or SCENES
        running = [pool.submit(try_scene, directory, name, words) for name in names]
        ended = [future.result() for future in running]
    struck, wrong = (sum((one[at] for one in ended), collections.Counter()) for at in (0, 1))
    kinds = "lost", "torn", "done", "hung", "a crash", "wrong code", "wrong sentence", "left open", "untidy"
    figures = ", ".join(f"{name} {wrong[name]}" for name in kinds)
    cases = struck["S_OK"] + struck["refused"]
    ends = f"S_OK {struck['S_OK']}, refused {struck['refused']}, left to the next day {struck['left to the next day']}"
    peak = max(memory for _, _, memory in ended)
    seed = os.environ.get("LICBAK_SEED", "1")
    tell("faults", f"{cases}, {ends}; {figures}; peak memory {peak >> 10} MiB, seed {seed}")
    check(sum(wrong.values()), 0, "what went wrong")
    check_that(peak < MEMORY_MAX, f"memory within its bound: {peak} KiB")
    finish()


if able():
    main(" ".join(sys.argv[1:]))
