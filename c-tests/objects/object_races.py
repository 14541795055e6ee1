"""Hosts that back up to the same place in object storage at once: one wins where none may be replaced,
and none replaces what it has not seen.

LICBAK_SO names the library. LICBAK_TORTURE tries many more rounds.
"""

import concurrent.futures
import os
import tempfile

from checks import check, check_that, finish, tell
from object_bench import EXISTS, OVERWRITE, S_OK, Library, able, large_store, licenses_in, new_bench, small_store
from object_bench import write_store

HOSTS = 8
ROUNDS, ROUNDS_IN_PARTS = (600, 30) if "LICBAK_TORTURE" in os.environ else (60, 3)


class Host:
    """One of several that use the same place, with a store that is new in each round."""

    def __init__(self, bench, number):
        self.bench, self.number, self.licbak = bench, number, Library()
        self.store = bench.root / f"host {number}"
        write_store(self.store, bench.licenses)

    def change(self, turn):
        """One licence, into what no other backup has."""
        self.licenses = self.bench.licenses | {"host.lic": f"{self.number} in {turn}".encode()}
        (self.store / "host.lic").write_bytes(self.licenses["host.lic"])

    def back_up(self, flags):
        place = {"StorePath": self.store, "BackupPath": self.bench.place}
        self.licbak.start("backup_licenses", flags, **(self.bench.account | place))
        answer = self.licbak.answer()
        check(answer["left"], [], "what a backup leaves open")
        check_that(answer["code"] in (S_OK, EXISTS), f"{answer['code']}: {answer['sentence']}")
        return answer["code"] == S_OK


def race(pool, hosts, flags, turn):
    """The hosts whose backup has ended well, of all at once."""
    for host in hosts:
        host.change(turn)
    ended = pool.map(lambda host: host.back_up(flags), hosts)
    return [host for host, won in zip(hosts, ended) if won]


def check_round(bench, won):
    """What is there is of one that has won; nothing else is left."""
    held = licenses_in(bench.object().content)
    owner = [host for host in won if host.licenses == held]
    check(len(owner), 1, f"hosts of {len(won)} that have won whose backup is there: {held and held['host.lic']}")
    check(len(bench.bucket.uploads), 0, "uploads that are left open")
    answer = bench.read("info")
    check(answer["code"], S_OK, answer["sentence"])
    return answer["info"]["generation"]


def run_rounds(root, what, licenses, rounds):
    """Where none is there, and over one: each that ends well must be a step of the generation."""
    bench = new_bench(root, what, {})
    bench.licenses = licenses
    hosts = [Host(bench, number) for number in range(HOSTS)]
    single, steps, lost = 0, 0, 0
    with concurrent.futures.ThreadPoolExecutor(HOSTS) as pool:
        for turn in range(rounds):
            bench.bucket.objects.clear()
            won = race(pool, hosts, 0, f"{turn}, new")
            single += len(won) == 1
            generation = check_round(bench, won)

            won = race(pool, hosts, OVERWRITE, f"{turn}, over it")
            check_that(won, "a winner, where one may be replaced")
            steps += len(won)
            lost += len(won) - (check_round(bench, won) - generation)
            bench.server.forget()
    tell(what, f"{rounds} of {HOSTS} hosts; won by one {single}; with OVERWRITE won {steps}, lost update {lost}")
    check((single, lost), (rounds, 0), f"{what}: won by one, lost update")
    for host in hosts:
        host.licbak.close()
    bench.close()


def main():
    with tempfile.TemporaryDirectory() as directory:
        run_rounds(directory, "rounds", small_store(), ROUNDS)
        run_rounds(directory, "rounds in parts", large_store(), ROUNDS_IN_PARTS)
    finish()


if able():
    main()
