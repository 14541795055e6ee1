"""Other programs of age and this library read each other's encrypted backups: rage, by the authors of the
crate, and age. A program that is not installed is skipped by name.
"""

import os
import pathlib
import pty
import shutil
import subprocess
import tempfile

from checks import check, check_that, finish, skip
from operations import name_of, outcome

PASSPHRASE = "correct horse, battery staple"


def files_below(directory):
    return {
        path.relative_to(directory): path.read_bytes()
        for path in pathlib.Path(directory).rglob("*")
        if path.is_file()
    }


def do(operation, **properties):
    return name_of(outcome(operation, **properties))


def make_key(program, path):
    """Writes an identity's file, and gives its recipient."""
    subprocess.run([f"{program}-keygen", "-o", path], check=True, stderr=subprocess.DEVNULL)
    lines = path.read_text().splitlines()
    return next(line.split(": ")[1] for line in lines if line.startswith("# public key:"))


def typed(command, words):
    """Runs a program on a terminal of its own, where each question gets the same answer."""
    environment = dict(os.environ, PINENTRY_PROGRAM="")
    process, terminal = pty.fork()
    if process == 0:
        os.execvpe(command[0], command, environment)
    asked = b""
    try:
        while part := os.read(terminal, 1000):
            asked += part
            if part.rstrip().endswith((b":", b"]")) or b"assphrase" in part:
                os.write(terminal, words.encode() + b"\n")
    except OSError:
        pass  # the program has closed the terminal
    _, status = os.waitpid(process, 0)
    check(os.waitstatus_to_exitcode(status), 0, f"{command}: {asked!r}")


def check_extracted(backup, place, store):
    """What is decrypted is a plain backup, which tar opens."""
    place.mkdir()
    subprocess.run(["tar", "--zstd", "-xf", backup, "-C", place], check=True)
    check(files_below(place / "licenses"), store, "what tar extracts")
    check(do("verify_backup", RestorePath=backup), "S_OK", "the decrypted backup")


def check_program(program, place, store):
    backups, key = place / "backups", place / "key.txt"
    backups.mkdir()
    recipient = make_key(program, key)
    identities = key.read_text()

    both = f"age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa\n{recipient}"
    check(do("backup_licenses", StorePath=place / "store", BackupPath=backups, Recipients=both), "S_OK")
    file = backups / "licenses.tar.zst.age"
    plain = place / "plain.tar.zst"
    subprocess.run([program, "-d", "-i", key, "-o", plain, file], check=True)
    check_extracted(plain, place / "extracted", store)

    theirs = place / "theirs.age"
    subprocess.run([program, "-r", recipient, "-o", theirs, plain], check=True)
    check(do("verify_backup", RestorePath=theirs, Identities=identities), "S_OK", f"what {program} has encrypted")
    check(do("verify_backup", RestorePath=theirs), "ERROR_DECRYPTION_FAILED", "without its key")

    file.unlink()
    check(do("backup_licenses", StorePath=place / "store", BackupPath=backups, Passphrase=PASSPHRASE), "S_OK")
    decrypted = place / "by passphrase.tar.zst"
    typed([program, "-d", "-o", str(decrypted), str(file)], PASSPHRASE)
    check_extracted(decrypted, place / "by passphrase", store)
    theirs.unlink()
    typed([program, "-p", "-o", str(theirs), str(plain)], PASSPHRASE)
    check(do("verify_backup", RestorePath=theirs, Passphrase=PASSPHRASE), "S_OK", f"{program}'s passphrase")


tried = 0
for program in ("rage", "age"):
    if shutil.which(program) is None:
        skip(program, "not installed")
        continue
    with tempfile.TemporaryDirectory() as directory:
        place = pathlib.Path(directory)
        for number in range(300):
            path = place / f"store/{number % 7}/key {number}.lic"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(os.urandom(number * 10))
        check_program(program, place, files_below(place / "store"))
    tried += 1
check_that(tried or not os.environ.get("CI"), "a program of age to try")
finish()
