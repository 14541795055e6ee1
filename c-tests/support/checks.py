"""Checks of a suite in Python, which are counted, and what it says."""

import pathlib
import sys

NAME = pathlib.Path(sys.argv[0]).stem
checks = 0


def fail(what):
    """Ends the suite; names the line that has called a check."""
    frame = sys._getframe(1)
    while pathlib.Path(frame.f_code.co_filename).parent == pathlib.Path(__file__).parent:
        frame = frame.f_back
    sys.exit(f"{NAME}:{frame.f_lineno}: {what}")


def count():
    """Counts a check whose failure is told in another way."""
    global checks
    checks += 1


def check(value, expected, what="it"):
    count()
    if value != expected:
        fail(f"{what}: expected {expected!r:.600}, got {value!r:.600}")


def check_that(condition, what):
    check(bool(condition), True, what)


def check_words(text, *words):
    for word in words:
        check_that(word in text, f"{word!r} in {text!r:.900}")


def skip(what, why):
    print(f"{NAME}: skipped: {what} ({why})", flush=True)


def tell(what, figures):
    print(f"{NAME}: {what}: {figures}", flush=True)


def finish():
    print(f"{NAME}: {checks} checks passed", flush=True)
