"""What goes wrong between a client and object storage: what the tests' server does to a request that a
fault strikes.
"""

import itertools
import select
import time

import object_api
import object_signature
from object_buckets import Refused

PAGE = b"<!DOCTYPE html><html><body>Sign in to the hotel's network</body></html>"
LIST_MAX = 2 << 20  # bytes of a list that a client reads
ENDLESS = 1 << 30  # a client that has not given up after so much never does


class Broken(Exception):
    """The connection is ended without an answer, or within it."""


class Fault:
    """Strikes `count` requests from the `first` one on, of those with the `action`, if one is named.

    Kinds are the functions below, and those of ANSWERS, which answer and do nothing.
    """

    def __init__(self, kind, first=1, count=1, action=None, seconds=0.2):
        if kind not in STRIKES and kind not in ANSWERS:
            raise ValueError(kind)
        self.kind, self.first, self.count, self.action, self.seconds = kind, first, count, action, seconds
        self.seen = self.struck = 0

    def strikes(self, entry):
        if self.action not in (None, entry["action"]):
            return False
        self.seen += 1
        if not self.first <= self.seen < self.first + self.count:
            return False
        self.struck += 1
        return True


def until_gone(fault, request):
    """Waits until the client has gone, which is not seen behind what it has sent, or the fault is over."""
    request.entry["waits"] = True
    request.owner.tell()
    gone = select.poll()
    gone.register(request.connection, select.POLLRDHUP)
    while fault in request.owner.faults and not gone.poll(100):
        pass
    request.entry["waits"] = False


# -- of what is sent to the server


def deaf(fault, request):
    """What is sent is not read, until the client has gone."""
    until_gone(fault, request)
    request.reset()


def cut_upload(fault, request):
    """The connection ends within what is sent."""
    request.read_body(part=0.5)
    request.reset()


def early(fault, request):
    """An error is answered before all has been sent, and the connection ends."""
    request.read_body(part=0.1)
    request.send(told(request, 503, "SlowDown"))
    raise Broken


# -- of the connection


def refuse(fault, request):
    """Nothing is done, and nobody listens for a while."""
    request.owner.refuse_for(fault.seconds)
    request.reset()


def cut(fault, request):
    """Nothing is done, and nothing answered."""
    raise Broken


def reset(fault, request):
    request.reset()


def lose(fault, request):
    """It is done, and the answer is lost."""
    request.entry["status"] = request.answer()[0]
    raise Broken


def cut_answer(fault, request):
    """It is done, and the answer ends in its middle."""
    status, headers, body = request.answer()
    data = request.head(status, {"Content-Length": len(body)} | headers)
    data += b"" if request.command == "HEAD" else body
    request.write(data[: len(data) // 2], status)
    raise Broken


def cut_body(fault, request):
    """It is done, and the answer lacks its last byte."""
    status, headers, body = request.answer()
    request.write(request.head(status, {"Content-Length": len(body)} | headers) + body[:-1], status)
    raise Broken


def close_after(fault, request):
    """All is well, but the connection is not kept, as was promised."""
    request.send(request.answer())
    raise Broken


def delay(fault, request):
    time.sleep(fault.seconds)
    request.send(request.answer())


def stall(fault, request):
    """Nothing is answered until the client has gone."""
    until_gone(fault, request)
    raise Broken


def do_and_stall(fault, request):
    """It is done, and nothing is answered until the client has gone."""
    request.entry["status"] = request.answer()[0]
    until_gone(fault, request)
    raise Broken


def drip(fault, request):
    """The answer comes by the byte, until the client has gone, or the time is over."""
    status, headers, body = request.answer()
    data = request.head(status, {"Content-Length": len(body)} | headers) + body
    end = time.monotonic() + fault.seconds
    request.owner.tell()
    for number in itertools.count():
        if time.monotonic() > end:
            request.write(data[number:], status)
            return
        request.write(data[number : number + 1], status)
        if select.select([request.connection], [], [], 0.05)[0]:
            raise Broken


# -- of the answer


def fail_after(fault, request):
    """It is done, and the answer says that it was not."""
    request.answer()
    request.send(told(request, 500, "InternalError"))


def short_length(fault, request):
    """The body is longer than the header says."""
    status, headers, body = request.answer()
    request.write(request.head(status, headers | {"Content-Length": len(body) // 2}) + body, status)
    raise Broken


def long_length(fault, request):
    """The body is shorter than the header says."""
    status, headers, body = request.answer()
    request.write(request.head(status, headers | {"Content-Length": len(body) * 2 + 100}) + body, status)
    raise Broken


def endless_body(fault, request):
    request.write(request.head(200, {"Content-Type": "application/xml", "Content-Length": ENDLESS}), 200)
    for _ in range(ENDLESS >> 16):
        request.write(bytes(1 << 16))
    raise Broken


def endless_xml(fault, request):
    """A list that is as it should be, but for its end."""
    request.write(request.head(200, {"Content-Type": "application/xml", "Transfer-Encoding": "chunked"}), 200)
    opening, upload = f"{object_api.DECLARATION}<ListMultipartUploadsResult>".encode(), upload_of(request) * 500
    for part in itertools.chain([opening], itertools.repeat(upload, ENDLESS // len(upload))):
        request.write(b"%x\r\n%s\r\n" % (len(part), part))
    raise Broken


def many_uploads(fault, request):
    """A list of more uploads than any store has in one, all of the day before."""
    opening, upload = f"{object_api.DECLARATION}<ListMultipartUploadsResult>".encode(), upload_of(request)
    body = opening + upload * ((LIST_MAX - 100) // len(upload)) + b"</ListMultipartUploadsResult>"
    request.send((200, {"Content-Type": "application/xml"}, body))


def upload_of(request):
    key = dict(object_signature.query_of(request.raw_query)).get("prefix", "")
    content = {"Key": key, "UploadId": "none", "Initiated": "2020-01-01T00:00:00.000Z"}
    return object_api.elements({"Upload": content}).encode()


def no_end(fault, request):
    """The answer says nothing of its end, and none comes until the client has gone."""
    status, headers, body = request.answer()
    headers.pop("Content-Length", None)
    request.write(request.head(status, headers) + body, status)
    until_gone(fault, request)
    raise Broken


def endless_head(fault, request):
    request.write(b"HTTP/1.1 200 OK\r\n", 200)
    for number in range(ENDLESS >> 6):
        request.write(b"X-Amz-More-%012d: %s\r\n" % (number, b"x" * 32))
    raise Broken


def garbage(fault, request):
    request.write(b"\x16\x03\x01\x00\xff\xfe" + bytes(range(256)) * 4, 200)
    raise Broken


def garbage_head(fault, request):
    request.write(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\nETag: \xff\xfe\r\n no name\r\n: x\r\n\r\n", 200)
    raise Broken


def no_body(fault, request):
    """What is answered has no content, no ETag, no range."""
    request.send((200, {}, b""))


def page(fault, request):
    """Somebody between answers in the server's place."""
    request.send((200, {"Content-Type": "text/html"}, PAGE))


def long_tag(fault, request):
    """All is well, but for a tag as no store has one."""
    status, headers, body = request.answer()
    longer = {"ETag": '"' + "x" * 2000 + '"'} if "ETag" in headers else {}
    request.send((status, headers | longer, body))


def redirect(fault, request):
    request.send((307, {"Location": "http://localhost:1/elsewhere"}, b""))


def whole(fault, request):
    """A range is asked for, and all is given."""
    del request.headers["Range"]
    request.send(request.answer())


def other_range(fault, request):
    """A range is asked for, and as much from elsewhere is given."""
    status, headers, body = request.answer()
    if "Content-Range" in headers:
        span, size = headers["Content-Range"][len("bytes ") :].split("/")
        first, last = map(int, span.split("-"))
        headers["Content-Range"] = f"bytes {first + 1}-{last + 1}/{int(size) + 1}"
    request.send((status, headers, body))


def flip(fault, request):
    """A bit of the body is other than what was kept."""
    status, headers, body = request.answer()
    at = len(body) // 2
    request.send((status, headers, body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :] if body else body))


def spaces(fault, request):
    """All is well, and comes in chunks, with blanks before what is long in the making."""
    status, headers, body = request.answer()
    if status != 200 or not body.startswith(b"<?xml"):
        return request.send((status, headers, body))
    declaration, rest = body.split(b"\n", 1)
    chunks = [declaration, *[b" " * 7] * 20, rest, b""]
    data = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    request.write(request.head(200, headers | {"Transfer-Encoding": "chunked"}) + data, 200)


def error_in_200(fault, request):
    """The status says that all is well, and then the body that it is not; nothing is done."""
    _, headers, body = told(request, 500, "InternalError")
    request.send((200, headers, body))


def gone(fault, request):
    """A conflict, for which the upload is gone too."""
    uploads = request.owner.store.bucket(request.entry["bucket"]).uploads
    for upload_id in [one for one in uploads if one in request.raw_query]:
        del uploads[upload_id]
    request.send(told(request, 409, "ConditionalRequestConflict"))


# -- answers that are errors, with nothing done

ANSWERS = {
    "400": (400, "RequestTimeout"),
    "403": (403, "AccessDenied"),
    "404": (404, "NoSuchKey"),
    "404 upload": (404, "NoSuchUpload"),
    "408": (408, "RequestTimeout"),
    "409": (409, "ConditionalRequestConflict"),
    "409 aborted": (409, "OperationAborted"),
    "412": (412, "PreconditionFailed"),
    "416": (416, "InvalidRange"),
    "429": (429, "TooManyRequests"),
    "500": (500, "InternalError"),
    "501": (501, "NotImplemented"),
    "502": (502, "BadGateway"),
    "503": (503, "SlowDown"),
    "504": (504, "GatewayTimeout"),
    "507": (507, "InsufficientStorage"),
}


def told(request, status, code):
    return object_api.refusal(request, Refused(status, code, "by command"))


UNREAD = [deaf, cut_upload, early]
FUNCTIONS = [*UNREAD, refuse, cut, reset, lose, cut_answer, cut_body, close_after, delay, stall, do_and_stall, drip]
FUNCTIONS += [fail_after, short_length, long_length, endless_body, endless_xml, endless_head, garbage, garbage_head]
FUNCTIONS += [no_body, long_tag, page, redirect, whole, other_range, flip, spaces, error_in_200, gone]
ALONE = [many_uploads, no_end]  # not for each request
KINDS = {function.__name__.replace("_", " "): function for function in FUNCTIONS}
STRIKES = KINDS | {function.__name__.replace("_", " "): function for function in ALONE}


def act(fault, request):
    if STRIKES.get(fault.kind) not in UNREAD:
        request.body = request.read_body()
    if fault.kind in ANSWERS:
        request.send(told(request, *ANSWERS[fault.kind]))
    else:
        STRIKES[fault.kind](fault, request)
