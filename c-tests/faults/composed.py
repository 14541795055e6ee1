"""Backups made to do harm by composer.py: each is either found damaged, and gives nothing, or gives
exactly what it was composed of.

Each is verified, listed, restored into a directory and into a host's store, whole, by key ID and
salvaged, with its end and without, and backed up over. Nothing is ever written elsewhere, memory
stays bounded, and all comes to an end.

LICBAK_SO names the library. A sample is tried, which LICBAK_SEED chooses; with LICBAK_TORTURE set,
all. `composed.py WORDS` tries all whose description has the words, and says how each ends.
"""

import os
import pathlib
import random
import sys
import tempfile

import forge
import hostile_judge
from checks import check, finish
from composer import Composer
from hostile_judge import LATER, REFUSED

SAMPLE = 90
DENYING = '<LICENSE version="2.0.0.0"><LICENSORINFO><DATA><KID>denied</KID></DATA></LICENSORINFO></LICENSE>'


def store():
    """Licences of short names and long ones, at the beginning, within and at the end of the backup."""
    licenses = hostile_judge.plain_store()
    for first in "a", "f1/m", "z":
        licenses[first + "long" * 30 + ".lic"] = f"of a long name with {first}".encode()
    return licenses | {"denied.lic": DENYING.encode(), "empty.lic": b""}


def main(words):
    with tempfile.TemporaryDirectory() as directory:
        operations, is_torture = hostile_judge.Operations(), "LICBAK_TORTURE" in os.environ
        hostile = hostile_judge.Hostile(pathlib.Path(directory), operations, is_torture, store(), {"denied.lic"})
        composer = Composer(forge.Parts(hostile.file.read_bytes()).split(4))
        check(composer.licenses, hostile.licenses, "what is put together")
        keys = "0", "k", composer.members[-1].line["key_id"], "another"
        base = list(composer.contents)

        def judge(what, data, licenses):
            contents = base + composer.contents
            return hostile.try_either(what, data, licenses, keys, contents, (REFUSED, LATER))

        check(judge("as it was", composer.good, hostile.licenses), True, "a backup that was put together again")
        cases = list(composer.cases())
        seed = int(os.environ.get("LICBAK_SEED", "1"))
        if words:
            cases = [case for case in cases if words in case.what]
        elif not is_torture:
            cases = random.Random(seed).sample(cases, SAMPLE)
        right, alike = 0, 0
        for what, make, licenses in cases:
            composer.contents.clear()
            data = make()
            if data == composer.good:  # there is no lie in it
                alike += 1
                continue
            is_right = judge(what, data, licenses() if callable(licenses) else licenses)
            right += is_right
            if words:
                print(f"composed: {what}: {'right' if is_right else 'refused'}", flush=True)
        check(alike < len(cases), True, "lies that change something")
        more = f", found right {right}, without a lie {alike}, poisoned {hostile.poisoned}, seed {seed}"
        hostile_judge.close(hostile, "composed", "cases", more)
    finish()


if forge.libzstd() is None:
    print("composed: skipped: all (libzstd.so.1 is not installed)", file=sys.stderr)
else:
    main(" ".join(sys.argv[1:]))
