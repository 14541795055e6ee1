"""A restore into a database that is not there yet: it appears whole, whoever else restores to the
same path, and however they end; and nothing is removed or taken over that belongs to another.

The library is in forked children alone, see databases.py.
"""

import os
import random
import signal
import stat
import time

from databases import *

CANCELED, CORRUPT = "NS_E_DRM_OPERATION_CANCELED", "NS_E_DRM_BACKUP_CORRUPT"
STORE_ERROR = "NS_E_DRM_LICENSE_STORE_ERROR"
HOST_FAILURE, PROGRESS = "0xa0000001", 0x10001
HIDDEN = ".licbak-restore."


def names_in(directory):
    return sorted(path.name for path in directory.iterdir())


def hidden_in(directory):
    return [name for name in names_in(directory) if name.startswith(HIDDEN)]


# -- many at once ---------------------------------------------------------------------------------------------

ROUNDS, PROCESSES, THREADS, BACKUPS = 40, 4, 3, 4
OWN, COMMON = 700, 300  # licences that one backup alone has, and that all have


def start(store, backups, how):
    """Starts a restore in this process; gives what waits for its end and tells its code."""
    import operations
    from operations import HOST_FAILURE, c

    @c.StatusCallback
    def on_status(status, *_):
        return HOST_FAILURE if how == status else c.Hr.E_NOTIMPL

    def end(_callback=on_status):  # which has to live as long
        outcome = operations.outcome_of(restorer)
        operations.check(c.destroy(restorer))
        return operations.name_of(outcome)

    restorer = operations.new_restorer({"StorePath": str(store), "RestorePath": str(backups)}, threads=2)
    operations.check(c.restore_licenses(restorer, 0, on_status, None))
    if how == "cancel":
        wait = random.uniform(0, 0.3)
        threading.Timer(wait, c.cancel, [restorer]).start()
        end = lambda end=end, wait=wait: (time.sleep(wait), end())[1]  # the restorer outlives the cancel
    return end


class Process:
    """A child that runs restores at once, each in its own way, and tells how each ended."""

    def __init__(self, store, restores):
        self.restores, self.killed = restores, False
        reading, writing = os.pipe()
        self.child = os.fork()
        if self.child == 0:
            code = 1
            try:
                os.close(reading)
                signal.alarm(LIMIT)
                self.run(store, writing)
                code = 0
            finally:
                os._exit(code)
        os.close(writing)
        self.told = open(reading)

    def run(self, store, told):
        random.seed()
        ends = [start(store, backups, how) for backups, how in self.restores]

        def tell_end(number):
            os.write(told, f"{number} {ends[number]()}\n".encode())

        threads = [threading.Thread(target=tell_end, args=[number]) for number in range(len(ends))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def kill(self):
        os.kill(self.child, signal.SIGKILL)
        self.killed = True

    def end(self):
        """The restores, as (backup, how, code); code is None where a kill was faster."""
        with self.told:
            codes = dict(line.split() for line in self.told)
        status = os.waitstatus_to_exitcode(os.waitpid(self.child, 0)[1])
        check_that(status == 0 or (self.killed and status == -signal.SIGKILL), f"a child ended with {status}")
        return [(*restore, codes.get(str(number))) for number, restore in enumerate(self.restores)]


def at_once(root, contents):
    """One round: gives how its restores ended."""
    store = root / "new.db"
    processes = []
    for _ in range(PROCESSES):
        hows = random.choices(["let", "cancel", BEGIN, PROGRESS], [6, 2, 1, 2], k=THREADS)
        processes.append(Process(store, [(random.choice(list(contents)), how) for how in hows]))
    for process in random.sample(processes, random.choice([0, 0, 1, 2])):
        time.sleep(random.uniform(0, 0.2))
        process.kill()
    ended = [(*restore, process.killed) for process in processes for restore in process.end()]
    for _, how, code, killed in ended:
        allowed = {"S_OK", "ERROR_LOCK_VIOLATION", *([None] if killed else [])}
        allowed |= {"cancel": {CANCELED}, "let": set()}.get(how, {HOST_FAILURE})
        check_that(code in allowed, f"{how} ended with {code}")
    return ended


def lost(store, ended, contents):
    """Which backups lack what they should have in the database."""
    done = {backups for backups, _, code, _ in ended if code == "S_OK"}
    if not store.exists() or store.stat().st_size == 0:
        return done
    check(query(store, "PRAGMA integrity_check"), [("ok",)], "the database")
    has_table = query(store, "SELECT count(*) FROM sqlite_master WHERE name = 'license'") == [(1,)]
    there = licenses_of(store) if has_table else {}
    for backups, own in contents.items():
        has = {name for name in own if name.startswith(backups.name) and name in there}
        check_that(len(has) in (0, OWN), f"{len(has)} of {OWN} licences of a transaction")
    return {backups for backups in done if any(there.get(name) != own for name, own in contents[backups].items())}


def many_at_once():
    random.seed()
    with place() as root:
        contents = {}
        for number in range(BACKUPS):
            backups = root / f"backup {number}"
            backups.mkdir()
            names = [f"{backups.name}/{i:04}" for i in range(OWN)] + [f"common/{i:04}" for i in range(COMMON)]
            contents[backups] = {name: name.encode() * 40 for name in names}
            rows = [(name, content, None, None) for name, content in contents[backups].items()]
            check(back_up(make(root / f"{number}.db", rows), backups).code, "S_OK")
        restores = done = let = let_done = 0
        for number in range(ROUNDS):
            place_of_it = root / f"round {number}"
            place_of_it.mkdir()
            store = place_of_it / "new.db"
            if number % 5 == 4:
                store.touch(0o600)
            ended = at_once(place_of_it, contents)
            check(lost(store, ended, contents), set(), f"what is lost after {ended}")
            run = restore(root / "backup 0", store)
            check(run.code, "S_OK", run.text)
            check(names_in(place_of_it), ["new.db"], "what is left behind")
            restores += len(ended)
            done += sum(code == "S_OK" for *_, code, _ in ended)
            free = [code for _, how, code, killed in ended if how == "let" and not killed]
            let, let_done = let + len(free), let_done + free.count("S_OK")
        check_that(let_done * 2 >= let, f"{let_done} of {let} that nobody stopped ended with S_OK")
        print(f"{NAME}: rounds {ROUNDS}, restores {restores}, of them S_OK {done}; lost 0", flush=True)


# -- one that is held in the middle ---------------------------------------------------------------------------


def damaged(root):
    """A backup with a hole, of which SALVAGE restores the rest: (directory, name -> content of the
    rest, all names)."""
    backups = root / "damaged"
    backups.mkdir()
    rows = [(f"{i:04}", random.randbytes(2000), None, None) for i in range(2000)]
    check(back_up(make(root / "damaged source", rows), backups).code, "S_OK")
    file = backups / "licenses.tar.zst"
    data = bytearray(file.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4] = b"\0\0\0\0"
    file.write_bytes(data)
    told = operate("restore_licenses", root / "damaged.db", backups, flags=RESTORE_SALVAGE)
    check(told["code"], CORRUPT)
    rest = licenses_of(root / "damaged.db")
    check_that(0 < len(rest) < len(rows), f"{len(rest)} are intact")
    return backups, rest, [name for name, *_ in rows]


class Held:
    """A restore of a damaged backup into `store`, held when all is read and nothing has its place
    yet."""

    def __init__(self, store, backups, **request):
        self.child = Child()
        self.child.ask("restore_licenses", store, backups, flags=RESTORE_SALVAGE, hold_at=DAMAGED, **request)
        check(self.child.answer(), "held")

    def kill(self):
        self.child.signal(signal.SIGKILL)
        self.child.end()

    def end(self):
        self.child.write("go on")
        answer = self.child.answer()
        self.child.end()
        return answer


def out_of_sight(root, backups, rest):
    """Nothing is at the path before all is; also under a strange umask."""
    for mask in 0o022, 0o777:
        old_mask = os.umask(mask)
        try:
            held = Held(root / "new.db", backups)
        finally:
            os.umask(old_mask)
        [hidden] = hidden_in(root)
        check(list(root.glob("new.db*")), [], "what can be seen")
        check(stat.S_IMODE((root / hidden).stat().st_mode), 0o700, "who can look into the hidden folder")
        check(held.end()["code"], CORRUPT)
        check([path.name for path in root.glob("new.db*")] + hidden_in(root), ["new.db"], "what is made")
        check_that(licenses_of(root / "new.db") == rest, "the intact ones are there")
        check(query(root / "new.db", "PRAGMA journal_mode"), [("wal",)], "the mode")
        check(query(root / "new.db", "PRAGMA integrity_check"), [("ok",)], "the database")
        check(stat.S_IMODE((root / "new.db").stat().st_mode), 0o600, "the file's mode")
        (root / "new.db").unlink()


def left_behind(root, backups, whole):
    """What a kill leaves goes with the next restore; what another restore uses stays, and what is
    not ours."""
    strange = [f"{HIDDEN}0123", f"{HIDDEN}0123456789abcdefg", "licbak-restore.0123456789abcdef"]
    for name in strange:
        (root / name).mkdir()
    if os.geteuid() == 0:
        strange.append(f"{HIDDEN}fedcba9876543210")
        (root / strange[-1]).mkdir()
        os.chown(root / strange[-1], 1234, 1234)
    strays = set(hidden_in(root))
    for store in "new.db", "other.db":
        Held(root / "new.db", backups).kill()
        check(len(set(hidden_in(root)) - strays), 1, "what a kill leaves")
        check(list(root.glob("new.db*")), [], "what is at the path after a kill")
        check(restore(whole, root / store, "--dry-run").code, "S_OK")
        check(len(set(hidden_in(root)) - strays), 1, "what a dry run leaves")
        make(root / "other.db")
        check(restore(whole, root / store).code, "S_OK")
        check(set(hidden_in(root)), strays, f"what is left after a restore into {store}")
        for path in root / "other.db", root / "new.db":
            path.unlink(missing_ok=True)
    held = Held(root / "new.db", backups)
    check(restore(whole, root / "other.db").code, "S_OK")
    check(len(set(hidden_in(root)) - strays), 1, "what a running restore has")
    check(held.end()["code"], CORRUPT)
    check((root / "new.db").exists() and (root / "other.db").exists(), True, "both are there")
    check(all((root / name).exists() for name in strange), True, "what is not ours is there")
    for name in strange:
        (root / name).rmdir()
    for name in "new.db", "other.db":
        (root / name).unlink()


def overtaken(root, backups, rest, names):
    """Another database has come to the path: it is restored into, with all that its host has just
    done to it."""
    others = make(root / "others", [("0001", b"another version", None, None), ("other", b"o", None, None)])
    (root / "others backup").mkdir()
    check(back_up(others, root / "others backup").code, "S_OK")
    store = root / "new.db"
    kept = {"0001": b"another version", "other": b"o", "host's": b"h"}

    def overtake(**request):
        held = Held(store, backups, **request)
        check(restore(root / "others backup", store).code, "S_OK")
        host = sqlite3.connect(store, isolation_level=None)
        host.execute("INSERT INTO license(name, content) VALUES (?, ?)", ["host's", b"h"])
        check_that((root / "new.db-wal").stat().st_size > 0, "the host has a log beside its database")
        told = held.end()
        host.close()
        check(hidden_in(root), [], "what is left behind")
        check(query(store, "PRAGMA integrity_check"), [("ok",)], "the database")
        there = licenses_of(store)
        store.unlink()
        return told, there

    told, there = overtake()
    check(told["code"], CORRUPT)
    check_that(there == {**rest, **kept}, "both are there")
    lost = [name for name in names if name not in rest]
    check(texts(told, DAMAGED), lost, "what is told of the damage, once")
    check(texts(told, KEPT), ["0001"], "what is kept")
    figures = {what: told["figures"][what] for what in ("total", "done", "kept", "damaged")}
    expected = {"total": len(names), "done": len(rest) - 1, "kept": 1, "damaged": len(lost)}
    check(figures, expected, "the figures")

    told, there = overtake(fail_at=KEPT)
    check((told["code"], told["figures"]["done"]), (HOST_FAILURE, 0), "a callback that fails")
    check(there, kept, "what is left when the restore fails after all")

    held = Held(store, backups)
    store.touch(0o640)
    check(held.end()["code"], CORRUPT)
    check_that(licenses_of(store) == rest, "restored into an empty file that has come")
    check(stat.S_IMODE(store.stat().st_mode), 0o640, "the file's mode")
    store.unlink()

    held = Held(store, backups)
    store.mkdir()
    told = held.end()
    check(told["code"], STORE_ERROR, told["sentence"])
    check_words(told["sentence"], f"'{store}'")
    check(list(store.iterdir()) + hidden_in(root), [], "a folder that has come is left alone")
    store.rmdir()


def beside(root, backups, whole):
    """What belongs to another database is not taken for a part of the new one."""
    for suffix in "-wal", "-shm", "-journal":
        other = root / f"new.db{suffix}"
        for come_late in False, True:
            held = come_late and Held(root / "new.db", backups)
            other.write_bytes(b"of another database")
            if held:
                told = held.end()
                ends = [(told["code"], told["sentence"])]
            else:
                runs = [restore(whole, root / "new.db", *options) for options in ([], ["--dry-run"])]
                ends = [(run.code, run.text) for run in runs]
            for code, text in ends:
                check(code, STORE_ERROR, text)
                check_words(text, f"'{root / 'new.db'}'", f"'{other}'", "move the file away")
            check(other.read_bytes(), b"of another database", "the other's file")
            check([path.name for path in root.glob("new.db*")] + hidden_in(root), [other.name], "what is made")
            other.unlink()
    check(restore(whole, root / "new.db").code, "S_OK")
    (root / "new.db").unlink()
    # It could not be opened: what SQLite has beside it has a longer name.
    run = restore(whole, root / f"{'n' * 250}.db")
    check(run.code, "E_FAIL", run.text)
    check_words(run.text, "too long")
    check(hidden_in(root), [], "what is left behind")
    run = restore(whole, f"{root}/directory.db/")
    check((run.code, (root / "directory.db").is_dir()), ("S_OK", True), "a name with a slash is a directory's")


def one_in_the_middle():
    with place() as root:
        backups, rest, names = damaged(root)
        whole = root / "whole"
        whole.mkdir()
        check(back_up(make(root / "whole source", [("a", b"a", None, None)]), whole).code, "S_OK")
        out_of_sight(root, backups, rest)
        left_behind(root, backups, whole)
        overtaken(root, backups, rest, names)
        beside(root, backups, whole)


def main():
    for test in one_in_the_middle, many_at_once:
        test()
    finish()


main()
