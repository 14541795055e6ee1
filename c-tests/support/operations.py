"""Runs operations of the library for a test that must not load it itself: a request in JSON a line on standard
input, an answer in JSON a line on standard output.

LICBAK_SO names the library. A request has the operation, its properties and flags, and may have threads; for
restore_license the key_id; with host it has a store of the host's own, empty, and the answer tells what was put into it; with fail_at the
callback fails at that status, with cancel_at it cancels there, with hold_at it says "held" there, once, and goes on
when it gets a line.
"""

import ctypes
import json
import os
import sys

S_OK, E_NOTIMPL, HOST_FAILURE = 0, 0x80004001, 0xA0000001
END, FOREVER = 27, 0xFFFFFFFF
TYPE_DWORD, TYPE_STRING = 0, 1

hresult = ctypes.c_uint32
status_callback = ctypes.CFUNCTYPE(
    hresult, ctypes.c_uint32, hresult, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p
)


class License(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("name", ctypes.c_char_p),
        ("key_id", ctypes.c_char_p),
        ("content", ctypes.c_void_p),
        ("content_size", ctypes.c_size_t),
        ("modified", ctypes.c_int64),
        ("backup_right", ctypes.c_uint32),
        ("format", ctypes.c_uint32),
    ]


class Progress(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t)] + [
        (name, ctypes.c_uint64) for name in ("total", "done", "restricted", "kept", "damaged", "content_bytes")
    ]


license_callback = ctypes.CFUNCTYPE(hresult, ctypes.POINTER(License), ctypes.c_void_p)
enumerate_function = ctypes.CFUNCTYPE(hresult, ctypes.c_void_p, license_callback, ctypes.c_void_p)
get_function = ctypes.CFUNCTYPE(hresult, ctypes.c_void_p, ctypes.c_char_p, license_callback, ctypes.c_void_p)
put_function = ctypes.CFUNCTYPE(hresult, ctypes.c_void_p, ctypes.POINTER(License))


class Store(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("context", ctypes.c_void_p),
        ("enumerate", enumerate_function),
        ("get", get_function),
        ("put", put_function),
    ]


licbak = ctypes.CDLL(os.environ["LICBAK_SO"])
licbak.licbak_hresult_name.restype = ctypes.c_char_p


def say(answer):
    print(json.dumps(answer), flush=True)


def call(function, *arguments):
    """A call that must succeed."""
    code = ctypes.c_uint32(getattr(licbak, "licbak_" + function)(*arguments)).value
    if code != S_OK:
        sys.exit(f"{function} gave {code:#x}")


def name_of(code):
    name = licbak.licbak_hresult_name(ctypes.c_uint32(code)).decode()
    return name.removeprefix("LICBAK_").removeprefix("HRESULT_") or f"{code:#x}"


def sentence_of(restorer):
    size = ctypes.c_size_t(1 << 16)
    buffer = ctypes.create_string_buffer(size.value)
    call("get_error_message", restorer, buffer, ctypes.byref(size))
    return buffer.value.decode()


def host_store(answer):
    """A store that has nothing, and takes everything."""

    @get_function
    def get(context, name, emit, emit_context):
        return S_OK

    @put_function
    def put(context, license):
        one = license.contents
        content = ctypes.string_at(one.content, one.content_size)
        answer["put"].append([one.name.decode(), content.decode("latin-1")])
        return S_OK

    answer["put"] = []
    return Store(ctypes.sizeof(Store), None, enumerate_function(), get, put)


def listed(restorer, answer):
    @license_callback
    def on_license(license, context):
        one = license.contents
        answer["licenses"].append(
            [one.name.decode(), one.key_id.decode(), one.content_size, one.backup_right, one.format]
        )
        return S_OK

    answer["licenses"] = []
    return ctypes.c_uint32(licbak.licbak_list_backup(restorer, on_license, None)).value


def run(restorer, request, answer):
    waiting = [request.get("hold_at")]

    @status_callback
    def on_status(status, hr, datatype, value, size, context):
        if datatype == TYPE_STRING:
            answer["events"].append([status, ctypes.string_at(value, size).decode()])
        if status == END:
            figures = Progress.from_buffer_copy(ctypes.string_at(value, ctypes.sizeof(Progress)))
            answer["figures"] = {name: getattr(figures, name) for name, _ in Progress._fields_[1:]}
        if status == waiting[0]:
            waiting[0] = None
            say("held")
            sys.stdin.readline()
        if status == request.get("cancel_at"):
            licbak.licbak_cancel(restorer)
        return HOST_FAILURE if status == request.get("fail_at") else E_NOTIMPL

    start = getattr(licbak, "licbak_" + request["operation"])
    key_id = [request["key_id"].encode()] if "key_id" in request else []
    code = ctypes.c_uint32(start(restorer, *key_id, ctypes.c_uint32(request.get("flags", 0)), on_status, None)).value
    if code == S_OK:
        outcome = hresult()
        call("wait", restorer, ctypes.c_uint32(FOREVER), ctypes.byref(outcome))
        code = outcome.value
    return code


def answer_to(request):
    answer = {"events": []}
    restorer = ctypes.c_void_p()
    call("create", ctypes.byref(restorer))
    for name, path in request["properties"].items():
        call("set_prop_string", restorer, name.encode(), path.encode())
    if "threads" in request:
        threads = ctypes.c_uint32(request["threads"])
        call("set_prop", restorer, b"Threads", TYPE_DWORD, ctypes.byref(threads), ctypes.c_size_t(4))
    if request.get("host"):
        store = host_store(answer)
        call("set_store", restorer, ctypes.byref(store))
    code = listed(restorer, answer) if request["operation"] == "list" else run(restorer, request, answer)
    answer["code"], answer["sentence"] = name_of(code), sentence_of(restorer)
    call("destroy", restorer)
    return answer


if __name__ == "__main__":
    for line in iter(sys.stdin.readline, ""):
        say(answer_to(json.loads(line)))
