"""What a server of object storage keeps: buckets with objects and uploads, and what it demands of those
who write, as AWS documents it. Knows no HTTP but status codes.
"""

import base64
import hashlib
import re
import secrets
import threading
import zlib
from collections import namedtuple

MIB = 1 << 20
PART_MIN, PART_MAX, PARTS_MAX = 5 * MIB, 5 << 30, 10000
OBJECT_MAX_AT_ONCE = 5 << 30

DIGESTS = {
    "Content-MD5": lambda data: hashlib.md5(data).digest(),
    "X-Amz-Checksum-Sha256": lambda data: hashlib.sha256(data).digest(),
    "X-Amz-Checksum-Sha1": lambda data: hashlib.sha1(data).digest(),
    "X-Amz-Checksum-Crc32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
}

Object = namedtuple("Object", "content etag modified metadata")
Part = namedtuple("Part", "content etag modified")


class Refused(Exception):
    """An answer that is an error; `more` are further elements of its XML."""

    def __init__(self, status, code, message, more=None):
        super().__init__(code)
        self.status, self.code, self.message, self.more = status, code, message, more or {}


class Upload:
    def __init__(self, key, initiated, metadata):
        self.key, self.initiated, self.metadata, self.parts = key, initiated, metadata, {}


class Bucket:
    """Its writes are counted for each key, so that one that was overtaken under way can be told."""

    def __init__(self):
        self.objects, self.uploads, self.writes = {}, {}, {}


def quoted_md5(data):
    return f'"{hashlib.md5(data).hexdigest()}"'


def matches(wanted, etag):
    """Whether a list of ETags has this one; the quotation marks may lack."""
    return wanted.strip() == "*" or etag.strip('"') in {one.strip().strip('"') for one in wanted.split(",")}


def check_read(headers, found, prefix=""):
    """The conditions of a reader, or of who copies."""
    wanted, unwanted = headers.get(f"{prefix}If-Match"), headers.get(f"{prefix}If-None-Match")
    if wanted is not None and not matches(wanted, found.etag):
        failed = {"Condition": f"{prefix}If-Match".lower()}
        raise Refused(412, "PreconditionFailed", "At least one of the preconditions did not hold", failed)
    if unwanted is not None and matches(unwanted, found.etag):
        raise Refused(412 if prefix else 304, "NotModified", "Not Modified")


class Buckets:
    """All of them. `now` gives the server's time; `conditions` says which conditions of writers are
    kept: all, those of a put only (else an upload that has any is refused), none (all are refused), or
    ignored. With `equal_parts` all but the last must be of one size, as R2 has it; with `locks` what is
    put is locked, so that its digest must be sent along.
    """

    def __init__(self, now):
        self.now, self.buckets, self.lock = now, {}, threading.Lock()
        self.conditions, self.equal_parts, self.locks = "kept", False, False

    def bucket(self, name):
        if name not in self.buckets:
            raise Refused(404, "NoSuchBucket", "The specified bucket does not exist", {"BucketName": name})
        return self.buckets[name]

    def object(self, bucket, key):
        found = self.bucket(bucket).objects.get(key)
        if found is None:
            raise Refused(404, "NoSuchKey", "The specified key does not exist.", {"Key": key})
        return found

    def upload(self, bucket, key, upload_id):
        upload = self.bucket(bucket).uploads.get(upload_id)
        if upload is None or upload.key != key:
            message = "The specified upload does not exist. It may have been aborted or completed."
            raise Refused(404, "NoSuchUpload", message, {"UploadId": upload_id})
        return upload

    # -- writing

    def check_digests(self, headers, body):
        """The digests that a writer sends along must be right."""
        given = [name for name in DIGESTS if name in headers]
        if self.locks and not given:
            message = "Content-MD5 OR x-amz-checksum- HTTP header is required for requests with Object Lock parameters"
            raise Refused(400, "InvalidRequest", message)
        for name in given:
            right = base64.b64encode(DIGESTS[name](body)).decode()
            if len(headers[name]) != len(right):
                raise Refused(400, "InvalidDigest", f"The {name} you specified is not valid.")
            if headers[name] != right:
                raise Refused(400, "BadDigest", f"The {name} you specified did not match what we received.")

    def writes(self, bucket, key):
        """How many there have been: what `check_write` takes, to know whether another came in between."""
        with self.lock:
            return self.buckets[bucket].writes.get(key, 0) if bucket in self.buckets else 0

    def check_write(self, bucket, key, headers, begun, what):
        wanted, unwanted = headers.get("If-Match"), headers.get("If-None-Match")
        if wanted is None and unwanted is None or self.conditions == "ignored":
            return
        if self.conditions == "refused" or self.conditions == "put only" and what != "PutObject":
            header = {"Header": "If-Match" if unwanted is None else "If-None-Match"}
            raise Refused(501, "NotImplemented", "A header implies functionality that is not implemented", header)
        if unwanted not in (None, "*") or wanted is not None and unwanted is not None:
            raise Refused(501, "NotImplemented", "If-None-Match takes an asterisk only, and no If-Match beside it")
        if self.bucket(bucket).writes.get(key, 0) != begun:
            message = "The conditional request cannot succeed due to a conflicting operation against this resource."
            raise Refused(409, "ConditionalRequestConflict", message, {"Condition": "If-Match"})
        held = self.bucket(bucket).objects.get(key)
        failed = "At least one of the pre-conditions you specified did not hold"
        if unwanted and held is not None:
            raise Refused(412, "PreconditionFailed", failed, {"Condition": "If-None-Match"})
        if wanted and held is None:
            raise Refused(404, "NoSuchKey", "The specified key does not exist.", {"Key": key})
        if wanted and not matches(wanted, held.etag):
            raise Refused(412, "PreconditionFailed", failed, {"Condition": "If-Match"})

    def keep(self, bucket, key, content, etag, metadata):
        place = self.bucket(bucket)
        place.objects[key] = Object(content, etag, self.now(), metadata)
        place.writes[key] = place.writes.get(key, 0) + 1
        return place.objects[key]

    def put(self, bucket, key, headers, body, metadata, begun):
        if len(body) > OBJECT_MAX_AT_ONCE:
            raise Refused(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
        self.check_digests(headers, body)
        with self.lock:
            self.check_write(bucket, key, headers, begun, "PutObject")
            return self.keep(bucket, key, body, quoted_md5(body), metadata)

    def delete(self, bucket, key, headers, begun):
        with self.lock:
            self.check_write(bucket, key, headers, begun, "DeleteObject")
            place = self.bucket(bucket)
            if place.objects.pop(key, None) is not None:
                place.writes[key] = place.writes.get(key, 0) + 1

    # -- uploads in parts

    def create_upload(self, bucket, key, metadata):
        with self.lock:
            upload_id = secrets.token_urlsafe(48)
            self.bucket(bucket).uploads[upload_id] = Upload(key, self.now(), metadata)
            return upload_id

    def put_part(self, bucket, key, upload_id, number, content):
        if not re.fullmatch("[0-9]+", number) or not 1 <= int(number) <= PARTS_MAX:
            message = "Part number must be an integer between 1 and 10000, inclusive"
            raise Refused(400, "InvalidArgument", message, {"ArgumentName": "partNumber"})
        if len(content) > PART_MAX:
            raise Refused(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
        with self.lock:
            part = Part(content, quoted_md5(content), self.now())
            self.upload(bucket, key, upload_id).parts[int(number)] = part
            return part

    def copy_source(self, headers, decode):
        """The content that x-amz-copy-source and the headers beside it name."""
        path = decode(headers["X-Amz-Copy-Source"]).lstrip("/")
        bucket, slash, key = path.partition("/")
        if not slash or not key:
            raise Refused(400, "InvalidArgument", "Copy Source must mention the source bucket and key")
        with self.lock:
            found = self.object(bucket, key)
        check_read(headers, found, "X-Amz-Copy-Source-")
        span = headers.get("X-Amz-Copy-Source-Range")
        if span is None:
            return found.content
        form = re.fullmatch("bytes=([0-9]+)-([0-9]+)", span)
        if not form or not int(form[1]) <= int(form[2]) < len(found.content):
            message = "The x-amz-copy-source-range value must be of the form bytes=first-last within the source"
            raise Refused(400, "InvalidArgument", message, {"ArgumentValue": span})
        if len(found.content) <= PART_MIN:
            message = "The specified copy source is not supported as a byte-range copy source"
            raise Refused(400, "InvalidRequest", message)
        return found.content[int(form[1]) : int(form[2]) + 1]

    def complete(self, bucket, key, upload_id, headers, parts, begun):
        """Makes the object of the `parts`: their numbers and ETags, as the writer lists them."""
        with self.lock:
            upload = self.upload(bucket, key, upload_id)
            if [number for number, _ in parts] != sorted({number for number, _ in parts}):
                raise Refused(400, "InvalidPartOrder", "The list of parts was not in ascending order.")
            held = [upload.parts.get(number) for number, _ in parts]
            for (number, etag), part in zip(parts, held):
                if part is None or part.etag.strip('"') != etag.strip('"'):
                    message = "One or more of the specified parts could not be found."
                    raise Refused(400, "InvalidPart", message, {"UploadId": upload_id, "PartNumber": number})
            for (number, _), part in zip(parts[:-1], held):
                if len(part.content) < PART_MIN:
                    more = {"ProposedSize": len(part.content), "MinSizeAllowed": PART_MIN, "PartNumber": number}
                    message = "Your proposed upload is smaller than the minimum allowed size"
                    raise Refused(400, "EntityTooSmall", message, more)
            sizes = [len(part.content) for part in held]
            if self.equal_parts and (len(set(sizes[:-1])) > 1 or sizes[-1] > sizes[0]):
                raise Refused(400, "InvalidPart", "All non-trailing parts must have the same length.")
            self.check_write(bucket, key, headers, begun, "CompleteMultipartUpload")
            digests = b"".join(bytes.fromhex(part.etag.strip('"')) for part in held)
            etag = f'"{hashlib.md5(digests).hexdigest()}-{len(held)}"'
            del self.bucket(bucket).uploads[upload_id]
            return self.keep(bucket, key, b"".join(part.content for part in held), etag, upload.metadata)

    def abort(self, bucket, key, upload_id):
        with self.lock:
            self.upload(bucket, key, upload_id)
            del self.bucket(bucket).uploads[upload_id]
