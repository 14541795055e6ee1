"""Checks who has signed a request to object storage, as AWS does it: Signature Version 4 in the
Authorization header or in the query, the whole canonical request, the age, and the payload's digest.
"""

import calendar
import hashlib
import hmac
import re
import time
import urllib.parse

from object_buckets import Refused

ALGORITHM = "AWS4-HMAC-SHA256"
SKEW = 15 * 60
LONGEST = 7 * 24 * 60 * 60
DENIED = "AccessDenied"


def encoded(data, safe=""):
    return urllib.parse.quote(data, safe="-_.~" + safe)


def decoded(text):
    """As S3 reads a path or a query: a plus sign that is not encoded is a blank."""
    return urllib.parse.unquote_to_bytes(text.replace("+", " "))


def query_of(raw):
    """The pairs of a query, in order, decoded."""
    pairs = (part.partition("=") for part in raw.split("&") if part)
    return [(decoded(name).decode(), decoded(value).decode()) for name, _, value in pairs]


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


class Signature:
    """What a request says of its signer; `presigned` where the query says it."""

    def __init__(self, query, headers):
        query = dict(query)
        self.presigned = "X-Amz-Signature" in query or "X-Amz-Algorithm" in query
        authorization = headers.get("Authorization")
        if self.presigned and authorization:
            raise Refused(400, "InvalidArgument", "Only one auth mechanism allowed")
        if self.presigned:
            names = ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-SignedHeaders", "X-Amz-Signature", "X-Amz-Date"]
            if not all(query.get(name) for name in [*names, "X-Amz-Expires"]):
                raise self.malformed("Query-string authentication version 4 requires the X-Amz-Algorithm, …")
            algorithm, credential, signed, self.signature, self.date = (query[name] for name in names)
            if not re.fullmatch("[0-9]+", query["X-Amz-Expires"]) or not 1 <= int(query["X-Amz-Expires"]) <= LONGEST:
                raise self.malformed("X-Amz-Expires must be a number between 1 and 604800 seconds")
            self.expires = int(query["X-Amz-Expires"])
            self.token = query.get("X-Amz-Security-Token", "")
        elif authorization:
            form = f"({ALGORITHM}) Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=([^,]+)"
            found = re.fullmatch(form, authorization)
            if not found:
                raise self.malformed("The authorization header is malformed")
            algorithm, credential, signed, self.signature = found.groups()
            self.date, self.token = headers.get("X-Amz-Date", ""), headers.get("X-Amz-Security-Token", "")
        else:
            raise Refused(403, DENIED, "Access Denied")
        scope = credential.split("/")
        if algorithm != ALGORITHM or len(scope) != 5 or scope[3:] != ["s3", "aws4_request"]:
            raise self.malformed("The Credential is mal-formed; expecting <KEY>/YYYYMMDD/REGION/s3/aws4_request")
        if not re.fullmatch("[0-9]{8}T[0-9]{6}Z", self.date) or not self.date.startswith(scope[1]):
            raise self.malformed("Invalid credential date or X-Amz-Date")
        self.key_id, self.day, self.region = scope[:3]
        self.signed_headers = signed.split(";")

    def malformed(self, message):
        code = "AuthorizationQueryParametersError" if self.presigned else "AuthorizationHeaderMalformed"
        return Refused(400, code, message)

    def check_age(self, now):
        made = calendar.timegm(time.strptime(self.date, "%Y%m%dT%H%M%SZ"))
        if not self.presigned and abs(now - made) > SKEW:
            message = "The difference between the request time and the current time is too large."
            times = {"RequestTime": self.date, "ServerTime": now_text(now), "MaxAllowedSkewMilliseconds": SKEW * 1000}
            raise Refused(403, "RequestTimeTooSkewed", message, times)
        if self.presigned and made > now + SKEW:
            raise Refused(403, DENIED, "Request is not valid yet", {"ServerTime": now_text(now)})
        if self.presigned and now > made + self.expires:
            times = {"X-Amz-Expires": self.expires, "Expires": now_text(made + self.expires)}
            raise Refused(403, DENIED, "Request has expired", times | {"ServerTime": now_text(now)})

    def check_headers(self, headers):
        """Host and all that AWS reads must be signed."""
        present = {name.lower() for name in headers}
        owed = {name for name in present if name.startswith("x-amz-")} | {"host"}
        unsigned = ", ".join(sorted(owed - set(self.signed_headers)))
        if unsigned:
            message = "There were headers present in the request which were not signed"
            raise Refused(403, DENIED, message, {"HeadersNotSigned": unsigned})
        if self.signed_headers != sorted(self.signed_headers):
            raise self.malformed("SignedHeaders must be sorted")

    def canonical_request(self, method, raw_path, query, headers, payload):
        pairs = sorted((encoded(name), encoded(value)) for name, value in query if name != "X-Amz-Signature")
        values = {name: headers.get_all(name, []) for name in self.signed_headers}
        lines = [f"{name}:{','.join(re.sub(' +', ' ', v.strip()) for v in values[name])}\n" for name in values]
        path = encoded(decoded(raw_path), safe="/")
        query = "&".join(f"{name}={value}" for name, value in pairs)
        return "\n".join([method, path, query, "".join(lines), ";".join(self.signed_headers), payload])

    def expected(self, secret, canonical):
        scope = f"{self.day}/{self.region}/s3/aws4_request"
        text = "\n".join([ALGORITHM, self.date, scope, sha256(canonical.encode())])
        key = ("AWS4" + secret).encode()
        for part in scope.split("/"):
            key = mac(key, part)
        return mac(key, text).hex()


def now_text(now):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))


def payload_of(signature, query, headers):
    """What the request says of its payload: a digest, or that it is not signed."""
    payload = headers.get("X-Amz-Content-Sha256") or dict(query).get("X-Amz-Content-Sha256")
    if payload is None and signature.presigned:
        return "UNSIGNED-PAYLOAD"
    if payload is None:
        raise Refused(400, "InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
    if payload != "UNSIGNED-PAYLOAD" and not re.fullmatch("[0-9a-f]{64}", payload):
        raise Refused(501, "NotImplemented", f"x-amz-content-sha256: {payload}")
    return payload


def check(method, raw_path, raw_query, headers, body, keys, region, now):
    """Refuses what none of the `keys` has signed: from a key's ID to its secret and session token."""
    query = query_of(raw_query)
    signature = Signature(query, headers)
    signature.check_age(now)
    if signature.key_id not in keys:
        message = "The AWS Access Key Id you provided does not exist in our records."
        raise Refused(403, "InvalidAccessKeyId", message, {"AWSAccessKeyId": signature.key_id})
    secret, token = keys[signature.key_id]
    if signature.region != region:
        message = f"the region '{signature.region}' is wrong; expecting '{region}'"
        raise Refused(400, signature.malformed("").code, message, {"Region": region})
    signature.check_headers(headers)
    payload = payload_of(signature, query, headers)
    canonical = signature.canonical_request(method, raw_path, query, headers, payload)
    if not hmac.compare_digest(signature.expected(secret, canonical), signature.signature):
        message = "The request signature we calculated does not match the signature you provided."
        raise Refused(403, "SignatureDoesNotMatch", message, {"CanonicalRequest": canonical})
    if signature.token != token:
        raise Refused(400, "InvalidToken", "The provided token is malformed or otherwise invalid.")
    if payload != "UNSIGNED-PAYLOAD" and sha256(body) != payload:
        message = "The provided 'x-amz-content-sha256' header does not match what was computed."
        raise Refused(400, "XAmzContentSHA256Mismatch", message)
