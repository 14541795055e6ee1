"""Backups made to do harm: none is believed, and none does any.

Whoever made them computes every digest and checksum anew, so that nothing but the lie itself can
give it away. Each is verified, listed, restored into a directory and into a host's store, whole, by
key ID and salvaged, and backed up over. Of what is refused a store gets nothing; of what is
salvaged, only licences with names that keep the rule; nothing is ever written elsewhere; memory
stays bounded.

Behind age, too, a lie is what it is: some of them are then tried as encrypted backups.

LICBAK_SO names the library. Every fifth is backed up over, and every 25th encrypted; with
LICBAK_TORTURE set each is.
`hostile.py WORDS` tries only the cases whose description has the words.
"""

import itertools
import os
import pathlib
import shutil
import sys
import tempfile

import forge
import hostile_cases
import hostile_judge
from checks import check, finish, skip
from hostile_judge import GOOD, LATER, REFUSED


def try_cases(hostile, parts, words, step=1, kind=""):
    """Tries every so many of them that have the words."""
    good = parts.build()
    for cases, expected in (hostile_cases.refused, REFUSED), (hostile_cases.later, LATER):
        for what, data in itertools.islice(cases(parts), 0, None, step):
            check(data != good, True, f"a lie: {what}")
            if words in what:
                hostile.try_one(kind + what, data, expected)
    for what, data, licenses in itertools.islice(hostile_cases.odd(parts), 0, None, step):
        if words in what:
            hostile.try_one(kind + what, data, GOOD, hostile.licenses | licenses)


def try_encrypted(hostile, parts, words):
    """Gives how many were tried."""
    if shutil.which("age") is None:
        skip("encrypted backups", "age is not installed")
        return 0
    before = hostile.tried
    hostile.seal()
    hostile.try_one("encrypted", parts.build(), GOOD, hostile.licenses)
    try_cases(hostile, parts, words, 1 if hostile.repeats_all else 25, "encrypted, ")
    return hostile.tried - before


def main(words):
    with tempfile.TemporaryDirectory() as directory:
        operations, repeats_all = hostile_judge.Operations(), "LICBAK_TORTURE" in os.environ
        hostile = hostile_judge.Hostile(pathlib.Path(directory), operations, repeats_all, hostile_judge.plain_store())
        parts = forge.Parts(hostile.file.read_bytes()).split(4)
        hostile.try_one("put together again", parts.build(), GOOD, hostile.licenses)
        check(hostile.wrong, 0, "what is wrong with a good backup")
        try_cases(hostile, parts, words)
        encrypted = try_encrypted(hostile, parts, words)
        hostile_judge.close(hostile, "hostile", "backups", f", encrypted {encrypted}")
    finish()


if forge.libzstd() is None:
    print("hostile: skipped: all (libzstd.so.1 is not installed)", file=sys.stderr)
else:
    main(" ".join(sys.argv[1:]))
