"""What each request to the tests' object storage asks for, and its answer: the routes and the XML of S3."""

import re
import time
import xml.etree.ElementTree as tree
from xml.sax.saxutils import escape

import object_signature
from object_buckets import Refused, check_read

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
PAGE = 1000
QUERY_OF_SIGNATURE = re.compile("X-Amz-.*")
# By method, whether a key is named, and the words of the query that choose.
ROUTES = {
    ("HEAD", False, ()): "HeadBucket",
    ("GET", False, ("list-type",)): "ListObjectsV2",
    ("GET", False, ("uploads",)): "ListMultipartUploads",
    ("HEAD", True, ()): "HeadObject",
    ("GET", True, ()): "GetObject",
    ("PUT", True, ()): "PutObject",
    ("DELETE", True, ()): "DeleteObject",
    ("POST", True, ("uploads",)): "CreateMultipartUpload",
    ("PUT", True, ("partNumber", "uploadId")): "UploadPart",
    ("POST", True, ("uploadId",)): "CompleteMultipartUpload",
    ("DELETE", True, ("uploadId",)): "AbortMultipartUpload",
    ("GET", True, ("uploadId",)): "ListParts",
}
CHOOSERS = {word for _, _, words in ROUTES for word in words}
OTHERS = {"prefix", "delimiter", "max-keys", "continuation-token", "start-after", "encoding-type", "fetch-owner"}
OTHERS |= {"key-marker", "upload-id-marker", "max-uploads", "part-number-marker", "max-parts", "x-id"}


# -- what is asked


def kind_of(request):
    """The action that a request asks for, and its bucket and key: by path, or by the host's name."""
    host = request.headers.get("Host", "").rpartition(":")[0]
    path = object_signature.decoded(request.raw_path)[1:].decode("utf-8", "replace")
    named = [name for name in request.owner.store.buckets if host.startswith(f"{name}.")]
    bucket, _, key = (named[0], "", path) if named else path.partition("/")
    words = {name for name, _ in object_signature.query_of(request.raw_query) if not QUERY_OF_SIGNATURE.match(name)}
    action = ROUTES.get((request.command, bool(key), tuple(sorted(words & CHOOSERS))))
    if not words <= CHOOSERS | OTHERS:
        action = None
    if action == "UploadPart" and "X-Amz-Copy-Source" in request.headers:
        action = "UploadPartCopy"
    elif action == "PutObject" and "X-Amz-Copy-Source" in request.headers:
        action = None
    return {"action": action, "bucket": bucket, "key": key}


def check_right(request, right):
    rights = request.owner.rights
    if rights is not None and right not in rights:
        raise Refused(403, "AccessDenied", f"User is not authorized to perform: {right}")


def answer(request):
    entry, owner, headers = request.entry, request.owner, request.headers
    if headers.get_all("Host") is None or len(headers.get_all("Host")) != 1:
        raise Refused(400, "InvalidRequest", "One Host header is needed")
    if "Transfer-Encoding" in headers:
        raise Refused(501, "NotImplemented", "A header you provided implies functionality that is not implemented")
    if request.command == "PUT" and "Content-Length" not in headers:
        raise Refused(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
    bucket, key = entry["bucket"], entry["key"]
    given = (request.raw_path, request.raw_query, headers, request.body, owner.keys, owner.region, owner.now())
    object_signature.check(request.command, *given)
    owner.store.bucket(bucket)
    if entry["action"] is None:
        raise Refused(501, "NotImplemented", f"{request.command} {request.raw_path}?{request.raw_query}")
    if len(key.encode()) > 1024:
        raise Refused(400, "KeyTooLongError", "Your key is too long")
    check_right(request, entry["right"])
    query = dict(object_signature.query_of(request.raw_query))
    try:
        return DO[entry["action"]](request, owner.store, bucket, key, query)
    except Refused as error:
        if error.code == "NoSuchKey" and owner.rights is not None and "s3:ListBucket" not in owner.rights:
            raise Refused(403, "AccessDenied", "Access Denied") from None  # who may not list is not told what lacks
        raise


def refusal(request, error):
    body = {"Code": error.code, "Message": error.message, "Resource": request.raw_path, **error.more}
    body["RequestId"] = f"{request.entry['number']:016X}"
    if error.status == 304 or request.command == "HEAD":
        return error.status, {"Content-Type": "application/xml"}, b""
    return error.status, {"Content-Type": "application/xml"}, xml("Error", body, namespace=None)


# -- XML


def xml(root, content, namespace=NAMESPACE):
    opening = root if namespace is None else f'{root} xmlns="{namespace}"'
    return f"{DECLARATION}<{opening}>{elements(content)}</{root}>".encode()


def elements(content):
    if isinstance(content, dict):
        return "".join(f"<{name}>{elements(inner)}</{name}>" for name, inner in content.items())
    if isinstance(content, list):  # of one element each
        return "".join(map(elements, content))
    if isinstance(content, bool):
        return str(content).lower()
    return escape(str(content), {'"': "&quot;"})


def ok(root, content):
    return 200, {"Content-Type": "application/xml"}, xml(root, content)


def moment(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(seconds))


def parts_listed(body):
    """The numbers and ETags in the body of CompleteMultipartUpload."""
    malformed = Refused(400, "MalformedXML", "The XML you provided was not well-formed or did not validate")
    try:
        root = tree.fromstring(body)
        name = {"part": f"{{{NAMESPACE}}}Part", "number": f"{{{NAMESPACE}}}PartNumber", "etag": f"{{{NAMESPACE}}}ETag"}
        if not root.tag.startswith("{"):
            name = {"part": "Part", "number": "PartNumber", "etag": "ETag"}
        listed = [(int(part.findtext(name["number"])), part.findtext(name["etag"])) for part in root]
        if root.tag.rpartition("}")[2] != "CompleteMultipartUpload" or any(part.tag != name["part"] for part in root):
            raise malformed
    except (tree.ParseError, TypeError, ValueError):
        raise malformed from None
    if not listed or len(listed) > 10000 or None in (etag for _, etag in listed):
        raise malformed
    return listed


# -- objects


def metadata_of(headers):
    return {name.lower(): value for name, value in headers.items() if name.lower().startswith("x-amz-meta-")}


def read(request, store, bucket, key, query):
    """HEAD and GET, of all or of a range."""
    with store.lock:
        found = store.object(bucket, key)
    check_read(request.headers, found)
    headers = {"ETag": found.etag, "Accept-Ranges": "bytes", "Content-Type": "binary/octet-stream", **found.metadata}
    headers["Last-Modified"] = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(found.modified))
    size = len(found.content)
    form = re.fullmatch("bytes=([0-9]*)-([0-9]*)", request.headers.get("Range", ""))
    if form is None or form[0] == "bytes=-":
        return 200, headers | {"Content-Length": size}, found.content
    first, last = (int(form[1]), int(form[2] or size)) if form[1] else (max(size - int(form[2]), 0), size)
    last = min(last, size - 1)
    if first >= size or form[1] == "" and int(form[2]) == 0:
        raise Refused(416, "InvalidRange", "The requested range is not satisfiable", {"ActualObjectSize": size})
    if first > last:
        return 200, headers | {"Content-Length": size}, found.content
    span = {"Content-Length": last - first + 1, "Content-Range": f"bytes {first}-{last}/{size}"}
    return 206, headers | span, found.content[first : last + 1]


def put(request, store, bucket, key, query):
    begun = request.entry["begun"]
    kept = store.put(bucket, key, request.headers, request.body, metadata_of(request.headers), begun)
    return 200, {"ETag": kept.etag}, b""


def delete(request, store, bucket, key, query):
    store.delete(bucket, key, request.headers, request.entry["begun"])
    return 204, {}, b""


# -- uploads in parts


def create(request, store, bucket, key, query):
    upload_id = store.create_upload(bucket, key, metadata_of(request.headers))
    return ok("InitiateMultipartUploadResult", {"Bucket": bucket, "Key": key, "UploadId": upload_id})


def put_part(request, store, bucket, key, query):
    store.check_digests(request.headers, request.body)
    part = store.put_part(bucket, key, query["uploadId"], query["partNumber"], request.body)
    return 200, {"ETag": part.etag}, b""


def copy_part(request, store, bucket, key, query):
    check_right(request, "s3:GetObject")
    content = store.copy_source(request.headers, lambda text: object_signature.decoded(text).decode())
    part = store.put_part(bucket, key, query["uploadId"], query["partNumber"], content)
    return ok("CopyPartResult", {"LastModified": moment(part.modified), "ETag": part.etag})


def complete(request, store, bucket, key, query):
    parts = parts_listed(request.body)
    kept = store.complete(bucket, key, query["uploadId"], request.headers, parts, request.entry["begun"])
    return ok("CompleteMultipartUploadResult", {"Bucket": bucket, "Key": key, "ETag": kept.etag})


def abort(request, store, bucket, key, query):
    store.abort(bucket, key, query["uploadId"])
    return 204, {}, b""


# -- lists


def limit_of(query, name):
    if not re.fullmatch("[0-9]+", query.get(name, "0")):
        raise Refused(400, "InvalidArgument", f"{name} must be a number")
    return min(int(query.get(name, PAGE)), PAGE)


def list_parts(request, store, bucket, key, query):
    after, most = int(query.get("part-number-marker", "0")), limit_of(query, "max-parts")
    with store.lock:
        parts = sorted(store.upload(bucket, key, query["uploadId"]).parts.items())
    rest = [(number, part) for number, part in parts if number > after]
    listed = [
        {"Part": {"PartNumber": n, "LastModified": moment(p.modified), "ETag": p.etag, "Size": len(p.content)}}
        for n, p in rest[:most]
    ]
    content = [{"Bucket": bucket}, {"Key": key}, {"UploadId": query["uploadId"]}, {"MaxParts": most}]
    content += [{"NextPartNumberMarker": rest[:most][-1][0] if listed else after}]
    return ok("ListPartsResult", [*content, {"IsTruncated": len(rest) > most}, *listed])


def shown(query):
    """How names are written in a list, and what the list says of that."""
    if query.get("encoding-type") == "url":
        return lambda name: object_signature.encoded(name, safe="/"), [{"EncodingType": "url"}]
    return lambda name: name, []


def list_uploads(request, store, bucket, key, query):
    prefix, most = query.get("prefix", ""), limit_of(query, "max-uploads")
    name, encoding = shown(query)
    marker = (query.get("key-marker", ""), query.get("upload-id-marker", "") or "\U0010ffff")
    with store.lock:
        uploads = store.bucket(bucket).uploads.items()
        found = sorted((upload.key, upload_id, upload.initiated) for upload_id, upload in uploads)
    if query.get("key-marker"):
        found = [one for one in found if one[:2] > marker]
    found = [one for one in found if one[0].startswith(prefix)]
    listed = [
        {"Upload": {"Key": name(key), "UploadId": upload_id, "Initiated": moment(initiated)}}
        for key, upload_id, initiated in found[:most]
    ]
    content = [{"Bucket": bucket}, {"Prefix": name(prefix)}, {"MaxUploads": most}, *encoding]
    if len(found) > most:
        content += [{"NextKeyMarker": name(found[most - 1][0])}, {"NextUploadIdMarker": found[most - 1][1]}]
    return ok("ListMultipartUploadsResult", [*content, {"IsTruncated": len(found) > most}, *listed])


def list_objects(request, store, bucket, key, query):
    prefix, most = query.get("prefix", ""), limit_of(query, "max-keys")
    name, encoding = shown(query)
    delimiter, after = query.get("delimiter", ""), query.get("continuation-token", query.get("start-after", ""))
    with store.lock:
        objects = sorted(store.bucket(bucket).objects.items())
    found, folders = [], []
    for path, one in objects:
        rest = path[len(prefix) :]
        if not path.startswith(prefix) or path <= after:
            continue
        if delimiter and delimiter in rest:
            folder = prefix + rest.partition(delimiter)[0] + delimiter
            folders += [] if folder in folders else [folder]
        else:
            found.append((path, one))
    listed = [
        {"Contents": {"Key": name(k), "LastModified": moment(o.modified), "ETag": o.etag, "Size": len(o.content)}}
        for k, o in found[:most]
    ]
    listed += [{"CommonPrefixes": {"Prefix": name(folder)}} for folder in folders]
    content = [{"Name": bucket}, {"Prefix": name(prefix)}, {"MaxKeys": most}, {"KeyCount": len(listed)}, *encoding]
    if len(found) > most:
        content += [{"NextContinuationToken": found[most - 1][0]}]
    return ok("ListBucketResult", [*content, {"IsTruncated": len(found) > most}, *listed])


def head_bucket(request, store, bucket, key, query):
    return 200, {"x-amz-bucket-region": request.owner.region}, b""


DO = {
    "HeadBucket": head_bucket,
    "ListObjectsV2": list_objects,
    "ListMultipartUploads": list_uploads,
    "HeadObject": read,
    "GetObject": read,
    "PutObject": put,
    "DeleteObject": delete,
    "CreateMultipartUpload": create,
    "UploadPart": put_part,
    "UploadPartCopy": copy_part,
    "CompleteMultipartUpload": complete,
    "AbortMultipartUpload": abort,
    "ListParts": list_parts,
}
