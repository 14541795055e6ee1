"""Runs operations of the library for a test that must not load it itself: a request in JSON a line
on standard input, an answer in JSON a line on standard output.

LICBAK_SO names the library. A request has the operation, its properties and flags, and may have
threads; for restore_license the key_id; with host it has a store of the host's own, empty, and the
answer tells what was put into it; with fail_at the callback fails at that status, with cancel_at it
cancels there, with hold_at it says "held" there, once, and goes on when it gets a line. With stop,
which is cancel or destroy, that is called when a line comes. The answer also tells what the operation
has left: threads, and files and sockets that are still open.
"""

import contextlib
import ctypes
import json
import os
import pathlib
import select
import sys
import threading
import time

os.environ["LICBAK_LIBRARY"] = os.environ["LICBAK_SO"]
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "python/src"))
from licbak import _c as c  # the package's own declarations  # noqa: E402

HOST_FAILURE = 0xA0000001
END, FOREVER = 27, 0xFFFFFFFF
TYPE_DWORD, TYPE_STRING = 0, 1
FIGURES = {
    "total": "licenses_total",
    "done": "licenses_done",
    "restricted": "licenses_restricted",
    "kept": "licenses_kept",
    "damaged": "licenses_damaged",
    "skipped": "licenses_skipped",
    "content_bytes": "content_bytes",
}


def say(answer):
    print(json.dumps(answer), flush=True)


def check(code):
    """Of a call that must succeed."""
    if code != c.Hr.S_OK:
        sys.exit(f"a call gave {code:#x}")


def new_restorer(properties, threads=None):
    restorer = c.HANDLE()
    check(c.create(ctypes.byref(restorer)))
    for name, path in properties.items():
        check(c.set_prop(restorer, name.encode(), TYPE_STRING, path.encode(), len(path.encode())))
    if threads is not None:
        number = threads.to_bytes(4, sys.byteorder)
        check(c.set_prop(restorer, b"Threads", TYPE_DWORD, number, len(number)))
    return restorer


def outcome_of(restorer):
    """Of the operation that runs or ran last, once it has ended."""
    outcome = c.HRESULT()
    check(c._wait(restorer, FOREVER, ctypes.byref(outcome)))
    return outcome.value


def outcome(operation, flags=0, key_id=None, **properties):
    """The outcome of one operation of a new restorer, whose host takes everything; restore_license has a key ID."""
    on_status = c.StatusCallback(lambda *_: c.Hr.S_OK)
    restorer = new_restorer({name: os.fspath(path) for name, path in properties.items()})
    arguments = (flags,) if key_id is None else (key_id.encode(), flags)
    check(getattr(c, operation)(restorer, *arguments, on_status, None))
    code = outcome_of(restorer)
    check(c.destroy(restorer))
    return code


def name_of(code):
    name = c.hresult_name(code).decode()
    return name.removeprefix("LICBAK_").removeprefix("HRESULT_") or f"{code:#x}"


def host_store(answer):
    """A store that has nothing, and takes everything."""

    @c.Get
    def get(context, name, emit, emit_context):
        return c.Hr.S_OK

    @c.Put
    def put(context, license):
        one = license.contents
        content = ctypes.string_at(one.content, one.content_size)
        answer["put"].append([one.name.decode(), content.decode("latin-1")])
        return c.Hr.S_OK

    answer["put"] = []
    return c.Store(ctypes.sizeof(c.Store), None, c.Enumerate(), get, put)


def informed(restorer, answer):
    info = c.BackupInfo(struct_size=ctypes.sizeof(c.BackupInfo))
    code = c.get_backup_info(restorer, ctypes.byref(info))
    fields = ("generation", "licenses", "restricted", "content_bytes", "backup_bytes", "encrypted")
    answer["info"] = {field: getattr(info, field) for field in fields} | {"id": info.id.decode()}
    return code


def listed(restorer, answer):
    @c.LicenseCallback
    def on_license(license, context):
        one = license.contents
        answer["licenses"].append(
            [one.name.decode(), one.key_id.decode(), one.content_size, one.backup_right, one.format]
        )
        return c.Hr.S_OK

    answer["licenses"] = []
    return c.list_backup(restorer, on_license, None)


def run(restorer, request, answer):
    waiting = [request.get("hold_at")]

    @c.StatusCallback
    def on_status(status, hr, datatype, value, size, context):
        if datatype == TYPE_STRING:
            answer["events"].append([status, ctypes.string_at(value, size).decode()])
        if status == END:
            figures = c.Progress.from_address(value)
            answer["figures"] = {name: getattr(figures, field) for name, field in FIGURES.items()}
        if status == waiting[0]:
            waiting[0] = None
            say("held")
            sys.stdin.readline()
        if status == request.get("cancel_at"):
            c.cancel(restorer)
        return HOST_FAILURE if status == request.get("fail_at") else c.Hr.E_NOTIMPL

    start = getattr(c, request["operation"])
    key_id = [request["key_id"].encode()] if "key_id" in request else []
    code = start(restorer, *key_id, request.get("flags", 0), on_status, None)
    if code == c.Hr.S_OK:
        code = outcome_of(restorer)
    return code


def open_now():
    """Threads, and files with what they are."""
    open_files = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the list's own
            open_files.append(f"{number}: {os.readlink(f'/proc/self/fd/{number}')}")
    return {f"thread {number}" for number in os.listdir("/proc/self/task")} | set(open_files)


def left_since(before):
    """What has come and stays: the kernel shows a thread for some time after its end."""
    for _ in range(500):
        left = sorted(one for one in open_now() - before if not one.endswith(f"/proc/{os.getpid()}/fd"))
        if not left:
            return left
        time.sleep(0.01)
    return left


def stop(restorer, request, answer, ended):
    """Cancels or destroys it when a line comes before its end."""
    while not ended.is_set():
        if select.select([sys.stdin], [], [], 0.01)[0]:
            sys.stdin.readline()
            answer["stopped"] = time.monotonic()
            answer["stop"] = name_of(getattr(c, request["stop"])(restorer))
            return


def answer_to(request):
    answer, before = {"events": []}, open_now()
    restorer = new_restorer(request["properties"], request.get("threads"))
    if request.get("host"):
        store = host_store(answer)
        check(c.set_store(restorer, ctypes.byref(store)))
    ended = threading.Event()
    stopper = threading.Thread(target=stop, args=(restorer, request, answer, ended))
    if "stop" in request:
        stopper.start()
    tell = {"list": listed, "info": informed}.get(request["operation"])
    code = run(restorer, request, answer) if tell is None else tell(restorer, answer)
    moment = time.monotonic()
    ended.set()
    answer["code"], answer["sentence"] = name_of(code), c.error_message(restorer)
    if "stop" in request:
        stopper.join()
        answer["seconds"] = moment - answer.pop("stopped", moment)
    answer["left"] = left_since(before)
    if answer.get("stop") is None or request["stop"] != "destroy":
        check(c.destroy(restorer))
    return answer


if __name__ == "__main__":
    for line in iter(sys.stdin.readline, ""):
        if line != "\n":  # a word to stop came after the end
            say(answer_to(json.loads(line)))
