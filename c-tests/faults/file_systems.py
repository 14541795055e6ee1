"""Backups and stores on the file systems that people have: made and mounted here, each used for the
whole job, and written into the table of docs/file-systems.md. LICBAK_BLESS=1 makes the table anew.

Each gets a backup beside which another is refused, one that is replaced, one that finds the disk full,
four at once of which one may win, and a store that is restored, changed, compared and backed up.
"""

import contextlib
import hashlib
import os
import pathlib
import shutil
import socket
import subprocess
import time

from databases import *

PAGE = HERE.parents[1] / "docs/file-systems.md"
MIB = 1 << 20
RACERS = 4
BACKUP = "licenses.tar.zst"
FOLDERS = "two folders of another case"


def call(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).splitlines()
        raise OSError(f"{command[0]}: {lines[-1] if lines else done.returncode}")
    return done.stdout


# -- the file systems -----------------------------------------------------------------------------------------


class Missing(Exception):
    """What this machine lacks for a file system."""


def need(*programs):
    for program in programs:
        if shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None:
            raise Missing(f"no {program}")


def mount(place, *arguments):
    place.mkdir(exist_ok=True)
    try:
        call("mount", *arguments, place)
    except OSError as error:
        kind = arguments[arguments.index("-t") + 1]
        known = {line.split()[-1] for line in open("/proc/filesystems")}
        raise Missing("no such kernel" if kind not in known else str(error)) from error
    return place


def image(root, size, *command):
    need(command[0])
    path = root / "image"
    with open(path, "wb") as file:
        file.truncate(size * MIB)
    call(*command, path)
    return path


def of_kernel(kind, size, *command):
    def make(root):
        return mount(root / "there", "-t", kind, "-o", "loop", image(root, size, *command))

    return make


def ext4_casefold(root):
    try:
        there = of_kernel("ext4", 48, "mkfs.ext4", "-q", "-O", "casefold")(root)
        (there / "folded").mkdir()
        call("chattr", "+F", there / "folded")
    except (Missing, OSError) as error:
        raise Missing("no such kernel") from error
    return there / "folded"


def tmpfs(root, name="there"):
    return mount(root / name, "-t", "tmpfs", "-o", "size=48m", "tmpfs")


def overlayfs(root):
    below = tmpfs(root, "below")
    for name in ("lower", "upper", "work"):
        (below / name).mkdir()
    options = f"lowerdir={below}/lower,upperdir={below}/upper,workdir={below}/work"
    return mount(root / "there", "-t", "overlay", "-o", options, "overlay")


def by_program(place, *command):
    """Starts what serves a file system, and waits until it does."""
    need(command[0])
    if not os.path.exists("/dev/fuse"):
        raise Missing("no FUSE")
    place.mkdir(exist_ok=True)
    try:
        call(*command)
    except OSError as error:
        raise Missing(error) from error
    deadline = time.monotonic() + LIMIT
    while not os.path.ismount(place):
        if time.monotonic() > deadline:
            raise Missing(f"{command[0]} does not mount")
        time.sleep(0.05)
    return place


def exfat_fuse(root):
    need("mount.exfat-fuse", "losetup")
    path = image(root, 48, "mkfs.exfat")
    device = call("losetup", "--find", "--show", path).strip()
    try:
        return by_program(root / "there", "mount.exfat-fuse", device, root / "there")
    finally:
        call("losetup", "--detach", device)  # when it is unmounted


def ntfs_3g(root):
    path = image(root, 48, "mkfs.ntfs", "--force", "--quick", "--quiet")
    return by_program(root / "there", "ntfs-3g", path, root / "there")


def bindfs(root):
    return by_program(root / "there", "bindfs", tmpfs(root, "below"), root / "there")


def mergerfs(root):
    branches = tmpfs(root, "one"), tmpfs(root, "two")
    return by_program(root / "there", "mergerfs", "-o", "category.create=ff,minfreespace=0", ":".join(map(str, branches)), root / "there")


def gocryptfs(root):
    need("gocryptfs")
    below = tmpfs(root, "below")
    secret = ("-q", "-extpass", "echo secret")
    call("gocryptfs", "-init", "-scryptn", "10", *secret, below)
    return by_program(root / "there", "gocryptfs", *secret, below, root / "there")


def sshfs(root):
    need("sshfs", "sshd", "ssh-keygen")
    below, keys = tmpfs(root, "below"), root / "keys"
    keys.mkdir()
    os.makedirs("/run/sshd", exist_ok=True)
    for key in ("host", "own"):
        call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys / key)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "Port": port, "ListenAddress": "127.0.0.1", "HostKey": keys / "host", "PidFile": keys / "pid",
        "AuthorizedKeysFile": keys / "own.pub", "StrictModes": "no", "UsePAM": "no", "PermitRootLogin": "yes",
        "Subsystem": "sftp internal-sftp",
    }  # fmt: skip
    (keys / "settings").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    try:
        call(shutil.which("sshd", path="/usr/sbin:/usr/bin"), "-f", keys / "settings")
    except OSError as error:
        raise Missing(error) from error
    options = f"port={port},IdentityFile={keys}/own,StrictHostKeyChecking=no,UserKnownHostsFile=/dev/null"
    try:
        return by_program(root / "there", "sshfs", "-o", options, f"127.0.0.1:{below}", root / "there")
    finally:
        os.kill(int((keys / "pid").read_text()), signal.SIGTERM)  # the one that listens; sessions go on


def rclone(cache):
    """A drive in a cloud, for which memory of this machine stands."""

    def make(root):
        need("rclone")
        below = tmpfs(root, "below")
        options = ("--config", "/dev/null", "--cache-dir", root / "cache", "--vfs-cache-mode", cache, "--daemon")
        return by_program(root / "there", "rclone", "mount", *options, f":local:{below}", root / "there")

    return make


FILE_SYSTEMS = {
    "ext4": of_kernel("ext4", 48, "mkfs.ext4", "-q"),
    "ext4, names without case": ext4_casefold,
    "XFS": of_kernel("xfs", 320, "mkfs.xfs", "-q"),
    "btrfs": of_kernel("btrfs", 128, "mkfs.btrfs", "-q"),
    "tmpfs": tmpfs,
    "overlayfs": overlayfs,
    "FAT32": of_kernel("vfat", 48, "mkfs.vfat", "-F", "32", "-s", "1"),
    "exFAT": of_kernel("exfat", 48, "mkfs.exfat"),
    "exFAT by exfat-fuse": exfat_fuse,
    "NTFS by ntfs-3g": ntfs_3g,
    "bindfs": bindfs,
    "mergerfs": mergerfs,
    "gocryptfs": gocryptfs,
    "sshfs": sshfs,
    "rclone": rclone("off"),
    "rclone, all in its cache": rclone("full"),
}

# How a full disk is told, where it is not as elsewhere.
FULL = {
    "rclone": "ERROR_WRITE_FAULT",  # it takes away what it could not keep, and nothing is full then
    "rclone, all in its cache": None,  # which uploads later, and tells nobody
}


@contextlib.contextmanager
def mounted(make):
    """A folder with the file system; all that was mounted for it is unmounted."""
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        try:
            yield make(root)
        finally:
            for line in reversed(open("/proc/self/mounts").read().splitlines()):
                if line.split()[1].startswith(directory):
                    subprocess.run(["umount", "--lazy", line.split()[1]], check=True)


# -- the story ------------------------------------------------------------------------------------------------


def write_store(folder, count=60):
    for number in range(count):
        path = folder / ("films" if number % 2 else "books") / f"{number:03}.lic"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(hashlib.sha256(str(number).encode()).digest() * (number % 9))
    return folder


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fill_disk(there, root, backups, told):
    """A disk that gets full is `told`, and the old backup stays."""
    before = digest(backups / BACKUP)
    room = os.statvfs(there)
    large = root / "large"
    large.mkdir()
    for number in range(room.f_bavail * room.f_frsize // (15 * MIB) + 1):
        (large / str(number)).write_bytes(os.urandom(15 * MIB))
    full = back_up(large, backups)
    shutil.rmtree(large)
    check(full.code, told, full.text)
    check(digest(backups / BACKUP), before)
    check(os.listdir(backups), [BACKUP])


def as_a_place_for_backups(there, root, full):
    """What holds of backups there; gives it in words."""
    backups, store = there / "backups", root / "store"
    backups.mkdir()
    first = tool("backup", store, backups)
    if first.code != "S_OK":
        check(first.code, "ERROR_NOT_SUPPORTED", first.text)
        check(os.listdir(backups), [])
        check(back_up(store, backups).code, "S_OK")
    second = tool("backup", store, backups)
    check(second.code, "NS_E_DRM_BACKUP_EXISTS", second.text)
    check(restored(backups), files_below(store))

    write_store(root / "other", 80)
    replaced = back_up(root / "other", backups)
    check(replaced.code, "S_OK", replaced.text)
    check(tool("verify", backups).code, "S_OK")
    check(restored(backups), files_below(root / "other"))
    check(os.listdir(backups), [BACKUP])

    if full:
        fill_disk(there, root, backups, full)
    check(back_up(store, backups).code, "S_OK")

    together = there / "together"
    together.mkdir()
    racers = [Run("backup", store if number % 2 else root / "other", together) for number in range(RACERS)]
    codes = sorted(racer.end().code for racer in racers)
    if first.code == "S_OK":
        check(codes.count("S_OK"), 1)
        check(set(codes) - {"S_OK", "NS_E_DRM_BACKUP_EXISTS"}, set())
        check(tool("verify", together).code, "S_OK")
    else:
        check(codes, ["ERROR_NOT_SUPPORTED"] * RACERS)
    private = (backups / BACKUP).stat().st_mode & 0o777 == 0o600
    return ["yes" if holds else "no" for holds in (first.code == "S_OK", private)]


def has_attributes(path):
    try:
        call("setfacl", "-m", "u:2000:r", path)
        call("setfattr", "-n", "user.licence", "-v", "x", path)
    except OSError:
        return False
    return True


def attributes(path):
    rights = call("getfacl", "--omit-header", "--absolute-names", "--numeric", path)
    return rights, call("getfattr", "--absolute-names", "--dump", path).replace(str(path), "")


def as_a_store(there, root, new):
    """What holds of a store there; gives it in words."""
    replacing = [] if new == "yes" else ["--overwrite"]
    backups, store = root / "backups", there / "store"
    check(back_up(root / "store", backups).code, "S_OK")
    if replacing:
        run = tool("restore", backups, store)
        check(run.code, "ERROR_NOT_SUPPORTED", run.text)
    run = tool("restore", *replacing, backups, store)
    check(run.code, "S_OK", run.text)
    check(files_below(store), files_below(root / "store"))
    check(back_up(store, backups).code, "S_OK")
    check(restored(backups), files_below(root / "store"))

    changed = store / "films/001.lic"
    changed.write_bytes(b"another")
    check(back_up(store, backups).code, "S_OK")
    check(restored(backups)["films/001.lic"], b"another")
    os.rename(store / "books/002.lic", store / "books/moved.lic")
    check(back_up(store, backups).code, "S_OK")
    check(restored(backups), files_below(store))

    changed.write_bytes(b"a third")
    keeps = has_attributes(changed)
    rights = attributes(changed) if keeps else None
    if not replacing:
        check(tool("restore", backups, store).code, "S_OK")
        check(changed.read_bytes(), b"a third")
    over = tool("restore", "--overwrite", backups, store)
    check(over.code, "S_OK", over.text)
    check(changed.read_bytes(), b"another")
    if keeps:
        check(attributes(changed), rights)
    return "yes" if keeps else "none there"


def of_names(there, root, new):
    """Which names the file system can't have; they are named, and nothing is written."""
    refused = {}
    kinds = {"`a:b`": ["a:b"], "two of another case": ["KEY", "key"], FOLDERS: ["Music/a", "music/b"]}
    for what, names in kinds.items():
        source, backups, store = root / "named", root / "named backups", there / "named"
        source.mkdir()
        backups.mkdir()
        for name in names:
            (source / name).parent.mkdir(exist_ok=True)
            (source / name).write_text(name)
        check(back_up(source, backups).code, "S_OK")
        rehearsal = tool("restore", "--dry-run", backups, store)
        run = tool("restore", *([] if new == "yes" else ["--overwrite"]), backups, store)
        if run.code == "S_OK":
            check(files_below(store), files_below(source))
            check(rehearsal.code, "S_OK", rehearsal.text)
        else:
            check(run.code, "ERROR_INVALID_NAME", run.text)
            check_words(run.text, names[-1])
            check(files_below(store) if store.exists() else {}, {})
            if len(names) > 1:
                check(rehearsal.code, "ERROR_INVALID_NAME", rehearsal.text)
            refused[what] = True
            # Nor is one that is there already taken for the other.
            store.mkdir(exist_ok=True)
            if len(names) > 1:
                (store / names[0]).parent.mkdir(exist_ok=True)
                (store / names[0]).write_text(names[0])
                run = tool("restore", "--overwrite", backups, store)
                check(run.code, "ERROR_INVALID_NAME", run.text)
                check(files_below(store), {names[0]: names[0].encode()})
        for folder in (source, backups, store):
            shutil.rmtree(folder, ignore_errors=True)
    folders = refused.pop(FOLDERS, False)
    check(folders, "two of another case" in refused, "what holds of files, for folders")
    return ", ".join(refused) or "none"


def row_of(name, make):
    full = FULL.get(name, "ERROR_DISK_FULL")
    if full != "ERROR_DISK_FULL":
        skip(f"{name}: a full disk told as such", f"it is told as {full}" if full else "nobody is told")
    with place() as root, mounted(make) as there:
        write_store(root / "store")
        new, private = as_a_place_for_backups(there, root, full)
        return new, private, as_a_store(there, root, new), of_names(there, root, new)


def read_only():
    """A store in an image that was made once, as firmware is."""
    need("mksquashfs")
    with place() as root, tempfile.TemporaryDirectory() as directory:
        store = write_store(root / "store")
        call("mksquashfs", store, root / "image", "-quiet", "-no-progress")
        there = pathlib.Path(directory)
        mount(there, "-t", "squashfs", "-o", "loop,ro", root / "image")
        try:
            check(back_up(there, root / "backups").code, "S_OK")
            check(restored(root / "backups"), files_below(store))
            run = tool("backup", store, there)
            check(run.code, "ERROR_WRITE_PROTECT", run.text)
            (store / "new").write_text("new")
            check(back_up(store, root / "backups").code, "S_OK")
            run = tool("restore", root / "backups", there)
            check(run.code, "ERROR_WRITE_PROTECT", run.text)
        finally:
            subprocess.run(["umount", "--lazy", there], check=True)


# -- the table ------------------------------------------------------------------------------------------------


def check_table(rows):
    lines = PAGE.read_text().splitlines()
    for name, row in rows.items():
        line = " | ".join(["| " + name, *row]) + " |"
        at = [number for number, old in enumerate(lines) if old.startswith(f"| {name} |")]
        if os.environ.get("LICBAK_BLESS"):
            if at:
                lines[at[0]] = line
            else:
                last = max(number for number, old in enumerate(lines) if old.startswith("|"))
                lines.insert(last + 1, line)
        else:
            check([lines[number] for number in at], [line], f"the row of {name} in {PAGE.name}")
    if os.environ.get("LICBAK_BLESS"):
        PAGE.write_text("\n".join(lines) + "\n")


if os.geteuid() != 0 or shutil.which("unshare") is None:
    skip("all file systems", "not root, or no unshare")
elif not os.environ.get("LICBAK_OWN_MOUNTS"):
    # What is mounted is so for this test alone, and gone with it.
    os.environ["LICBAK_OWN_MOUNTS"] = "1"
    os.execvp("unshare", ["unshare", "--mount", sys.executable, "-B", *sys.argv])
else:
    rows = {}
    for name, make in FILE_SYSTEMS.items():
        if len(sys.argv) > 1 and name not in sys.argv[1:]:
            continue
        try:
            rows[name] = row_of(name, make)
        except Missing as missing:
            skip(name, missing)
    try:
        read_only()
    except Missing as missing:
        skip("squashfs", missing)
    check_table(rows)
    tell("file systems that did the whole job", len(rows))
finish()
