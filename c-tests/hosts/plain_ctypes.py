"""The library from a language that knows nothing of it: a backup, its refusal, a list and, on the
program's own thread, a verification, by ctypes alone.

LICBAK_SO names the library. With two arguments, STORE and BACKUPS, it backs up that store into that
directory, which holds no backup yet; without, a store of its own.
"""

import ctypes
import os
import pathlib
import sys
import tempfile
import threading

WMT_BACKUPRESTORE_BEGIN, WMT_BACKUPRESTORE_END = 21, 27
S_OK, E_HANDLE = 0, 0x80070006
NS_E_DRM_BACKUP_EXISTS = 0xC00D2742
FOREVER = 0xFFFFFFFF
CALL_IN_WAIT = 0x1000

hresult = ctypes.c_uint32  # as it is written in the tables; the header's int32 has the same bits
handle = ctypes.c_void_p
status_callback = ctypes.CFUNCTYPE(
    hresult, ctypes.c_uint32, hresult, ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint8), ctypes.c_size_t, ctypes.c_void_p
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


license_callback = ctypes.CFUNCTYPE(hresult, ctypes.POINTER(License), ctypes.c_void_p)

checks = 0


def check(value, expected):
    global checks
    checks += 1
    if value != expected:
        line = sys._getframe(1).f_lineno
        sys.exit(f"{__file__}:{line}: expected {expected!r}, got {value!r}")


def load():
    licbak = ctypes.CDLL(os.environ["LICBAK_SO"])
    for name, arguments in {
        "create": [ctypes.POINTER(handle)],
        "destroy": [handle],
        "set_prop_string": [handle, ctypes.c_char_p, ctypes.c_char_p],
        "backup_licenses": [handle, ctypes.c_uint32, status_callback, ctypes.c_void_p],
        "verify_backup": [handle, ctypes.c_uint32, status_callback, ctypes.c_void_p],
        "wait": [handle, ctypes.c_uint32, ctypes.POINTER(hresult)],
        "list_backup": [handle, license_callback, ctypes.c_void_p],
    }.items():
        function = getattr(licbak, "licbak_" + name)
        function.argtypes, function.restype = arguments, hresult
    licbak.licbak_hresult_name.argtypes = [hresult]
    licbak.licbak_hresult_name.restype = ctypes.c_char_p
    return licbak


def back_up(licbak, store, backups):
    restorer, outcome, statuses, threads, listed = handle(), hresult(1), [], set(), {}

    @status_callback
    def on_status(status, hr, datatype, value, size, context):
        statuses.append(status)
        threads.add(threading.get_ident())
        return S_OK

    @license_callback
    def on_license(license, context):
        listed[license.contents.name] = (license.contents.key_id, license.contents.content_size)
        return S_OK

    check(licbak.licbak_create(ctypes.byref(restorer)), S_OK)
    for name, path in ("StorePath", store), ("BackupPath", backups), ("RestorePath", backups):
        check(licbak.licbak_set_prop_string(restorer, name.encode(), os.fsencode(path)), S_OK)
    check(licbak.licbak_backup_licenses(restorer, 0, on_status, None), S_OK)
    check(licbak.licbak_wait(restorer, FOREVER, ctypes.byref(outcome)), S_OK)
    check(licbak.licbak_hresult_name(outcome), b"LICBAK_S_OK")
    check(statuses[0], WMT_BACKUPRESTORE_BEGIN)
    check(statuses[-1], WMT_BACKUPRESTORE_END)
    check(licbak.licbak_backup_licenses(restorer, 0, on_status, None), NS_E_DRM_BACKUP_EXISTS)

    check(licbak.licbak_list_backup(restorer, on_license, None), S_OK)
    expected = {
        os.fsencode(path.relative_to(store)): (os.fsencode(path.stem), path.stat().st_size)
        for path in pathlib.Path(store).rglob("*")
        if path.is_file()
    }
    check(listed, expected)

    statuses.clear()
    threads.clear()
    check(licbak.licbak_verify_backup(restorer, CALL_IN_WAIT, on_status, None), S_OK)
    check(licbak.licbak_wait(restorer, FOREVER, ctypes.byref(outcome)), S_OK)
    check(licbak.licbak_hresult_name(outcome), b"LICBAK_S_OK")
    check((statuses[0], statuses[-1]), (WMT_BACKUPRESTORE_BEGIN, WMT_BACKUPRESTORE_END))
    check(threads, {threading.get_ident()})
    check(licbak.licbak_destroy(restorer), S_OK)
    check(licbak.licbak_destroy(restorer), E_HANDLE)


def main():
    licbak = load()
    if len(sys.argv) == 3:
        back_up(licbak, sys.argv[1], sys.argv[2])
    else:
        with tempfile.TemporaryDirectory() as directory:
            root = pathlib.Path(directory)
            (root / "store" / "music").mkdir(parents=True)
            (root / "store" / "film.lic").write_bytes(b"a licence")
            (root / "store" / "music" / "Lied für Élise.lic").write_bytes(b"")
            back_up(licbak, root / "store", root)
    print(f"plain_ctypes: {checks} checks passed")


main()
