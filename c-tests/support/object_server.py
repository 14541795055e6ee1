"""A strict server of object storage for tests: it speaks S3 as AWS documents it, on this machine
alone, keeps all in memory, notes each request, and does on command what networks and servers do on bad
days.

In Python it is an `ObjectServer`. As a program it prints its address, and takes commands in JSON, a
line each, on standard input:

    python3 object_server.py --bucket backups --key ID:SECRET
    {"faults": [{"kind": "lose", "first": 3}]}    from now on; see Fault
    {"set": {"clock": 3600, "conditions": "ignored"}}
    {"log": true}                                 prints the requests since the last time
"""

import argparse
import contextlib
import http.client
import http.server
import json
import socket
import socketserver
import ssl
import struct
import sys
import threading
import time

import object_api
from object_buckets import Bucket, Buckets, Refused
from object_mishaps import Broken, Fault, act

ACTIONS = {
    "PutObject": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "UploadPartCopy": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject",
    "DeleteObject": "s3:DeleteObject",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "ListParts": "s3:ListMultipartUploadParts",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "ListObjectsV2": "s3:ListBucket",
    "HeadBucket": "s3:ListBucket",
}


class Request(http.server.BaseHTTPRequestHandler):
    """A connection, and the requests on it, one after the other."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "AmazonS3", ""
    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        with self.owner.lock:
            self.owner.connections.add(self.connection)
            self.owner.connected += 1

    def finish(self):
        with self.owner.lock:
            self.owner.connections.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    @property
    def owner(self):
        return self.server.owner

    def log_message(self, *_):
        pass

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except (OSError, Broken):
            self.close_connection = True

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.serve
        raise AttributeError(name)

    def serve(self):
        # Not self.path: the standard library takes slashes out of it.
        self.raw_path, _, self.raw_query = self.requestline.split(" ")[1].partition("?")
        owner = self.owner
        self.entry = owner.begin(self)
        try:
            fault = owner.fault_of(self.entry)
            if fault is None:
                self.body = self.read_body()
                self.send(self.answer())
            else:
                self.entry["fault"] = fault.kind
                act(fault, self)
        finally:
            owner.end()

    def read_body(self, part=1):
        """All of it, or as large a part."""
        length = self.headers.get("Content-Length", "0")
        wanted = int(int(length) * part) if length.isdigit() else -1
        body = self.rfile.read(max(wanted, 0))
        self.entry["received"] += len(body)
        if len(body) != wanted:
            self.entry["cut"] = True
            raise Broken
        return body

    def answer(self):
        """Does what is asked: the status, headers and body of the answer."""
        try:
            return object_api.answer(self)
        except Refused as error:
            return object_api.refusal(self, error)

    def head(self, status, headers):
        """The bytes of an answer before its body."""
        common = {"Server": "AmazonS3", "x-amz-request-id": f"{self.entry['number']:016X}"}
        common["Date"] = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(self.owner.now()))
        lines = [f"HTTP/1.1 {status} {http.client.responses.get(status, '')}"]
        lines += [f"{name}: {value}" for name, value in (common | headers).items()]
        return "\r\n".join([*lines, "", ""]).encode()

    def send(self, answer):
        status, headers, body = answer
        headers = {"Content-Length": len(body)} | headers if status != 304 and status != 204 else headers
        self.write(self.head(status, headers) + (b"" if self.command == "HEAD" else body), status)

    def write(self, data, status=None):
        if status is not None:
            self.entry["status"] = status
        self.entry["sent"] += len(data)
        self.wfile.write(data)

    def reset(self):
        """Ends the connection at once, and what was sent may be lost."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Broken


class Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads, request_queue_size = True, True, 512

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (OSError, Broken)):
            super().handle_error(request, client_address)

    def get_request(self):
        connection, address = super().get_request()
        if self.owner.tls is None:
            return connection, address
        return self.owner.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address


class ObjectServer:
    """`keys` are from an ID to (secret, session token); `rights` are the actions of IAM that they have,
    or None for all. `faults` is a list of Fault. `clock` is by how many seconds the server's clock is
    ahead of the machine's.
    """

    def __init__(self, buckets=("bucket",), keys=None, region="us-east-1", tls=None, port=0, host="localhost"):
        self.keys = keys or {"AKIDEXAMPLE": ("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "")}
        self.region, self.clock, self.rights, self.tls = region, 0, None, None
        if tls is not None:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*tls)
        self.lock, self.changed = threading.Lock(), threading.Condition()
        self.connections, self.connected, self.log, self.faults, self.under_way = set(), 0, [], [], 0
        self.store = Buckets(self.now)
        for name in buckets:
            self.store.buckets[name] = Bucket()
        # Bound as long as the server is: nobody else gets the port while nobody listens.
        self.host, self.family = host, socket.AF_INET6 if ":" in host else socket.AF_INET
        self.holder = socket.socket(self.family)
        self.holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.holder.bind((self.place, port))
        self.port, self.is_away = self.holder.getsockname()[1], False
        self.listen()

    # -- whether it is there

    @property
    def place(self):
        """The address that it listens at."""
        return self.host if self.family == socket.AF_INET6 else "127.0.0.1"

    def listen(self):
        listener = type("Listener", (Listener,), {"address_family": self.family})
        self.listener = listener((self.place, self.port), Request)
        self.listener.owner = self
        threading.Thread(target=self.listener.serve_forever, args=(0.02,), daemon=True).start()

    def hang_up(self):
        """Ends all connections, and refuses new ones."""
        self.listener.shutdown()
        self.listener.server_close()
        with self.lock:
            connections = list(self.connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def refuse_for(self, seconds):
        """Is not there for a while. Called by a request's thread."""

        def away():
            self.hang_up()
            time.sleep(seconds)
            self.listen()
            self.is_away = False

        with self.lock:
            was_away, self.is_away = self.is_away, True
        if not was_away:
            threading.Thread(target=away).start()

    def close(self):
        self.hang_up()
        self.holder.close()

    @property
    def address(self):
        host = f"[{self.host}]" if self.family == socket.AF_INET6 else self.host
        return f"{'http' if self.tls is None else 'https'}://{host}:{self.port}"

    def now(self):
        return time.time() + self.clock

    # -- what it was asked

    def begin(self, request):
        """Notes a request; its number is its place in the log, from 1."""
        head = len(request.requestline) + 4 + sum(len(name) + len(value) + 4 for name, value in request.headers.items())
        entry = {"method": request.command, "status": None, "fault": None, "received": head, "sent": 0, "cut": False}
        entry |= object_api.kind_of(request)
        entry["right"], entry["begun"] = ACTIONS.get(entry["action"]), self.store.writes(entry["bucket"], entry["key"])
        with self.lock:
            self.log.append(entry)
            entry["number"] = len(self.log)
            self.under_way += 1
        return entry

    def end(self):
        with self.changed:
            self.under_way -= 1
            self.changed.notify_all()

    def tell(self):
        """That something waited for has happened."""
        with self.changed:
            self.changed.notify_all()

    def wait_for(self, condition, seconds=60):
        with self.changed:
            return self.changed.wait_for(condition, seconds)

    def forget(self):
        """Begins to count anew, without faults."""
        with self.lock:
            self.log, self.faults = [], []

    def fault_of(self, entry):
        with self.lock:
            return next((fault for fault in self.faults if fault.strikes(entry)), None)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--bucket", action="append", default=[])
    parser.add_argument("--key", action="append", default=[], metavar="ID:SECRET[:TOKEN]")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"))
    given = parser.parse_args()
    keys = {key: (secret, token) for key, secret, token in ((one + ":").split(":")[:3] for one in given.key)}
    server = ObjectServer(given.bucket or ["bucket"], keys, given.region, given.tls, given.port)
    print(server.address, flush=True)
    for line in iter(sys.stdin.readline, ""):
        command = json.loads(line)
        for name, value in command.get("set", {}).items():
            setattr(server.store if name in ("conditions", "equal_parts", "locks") else server, name, value)
        if "faults" in command:
            server.forget()
            server.faults = [Fault(**fault) for fault in command["faults"]]
        if command.get("log"):
            print(json.dumps(server.log), flush=True)
            server.log = []


if __name__ == "__main__":
    main()
