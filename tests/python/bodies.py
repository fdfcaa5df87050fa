"""Large packets apart, in Python with nothing but its library, written from docs/reference/bodies.md alone.

An upload that is cut is gone on with where it stood: the hub is asked how far it is, and gets the rest.
"""

import base64
import hashlib
import http.client
import json
import os
import pathlib
import ssl
import sys
import time
import urllib.parse

WAIT_MIN_S, WAIT_MAX_S = 0.2, 5.0
CHUNK = 256 * 1024


class Refused(Exception):
    """The hub said no, and sending the same again does not help."""


def digest_of(path: pathlib.Path) -> str:
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            found.update(chunk)
    return found.hexdigest()


def upload(url: str, system: str, password: str, path: pathlib.Path, timeout: float, ca: str | None = None) -> str:
    """Sends the file's bytes to the hub. Gives the value of the header truc-body."""
    digest, size = digest_of(path), os.path.getsize(path)
    login = "Basic " + base64.b64encode(f"{system}:{password}".encode()).decode()
    deadline, wait = time.monotonic() + timeout, WAIT_MIN_S
    while time.monotonic() < deadline:
        try:
            offset = standing(url, login, digest, size, ca)
            if offset is None:
                return f"sha256:{digest};size={size}"
            print(json.dumps({"type": "uploading", "from": offset, "of": size}), file=sys.stderr)
            send_rest(url, login, digest, size, offset, path, ca)
            wait = WAIT_MIN_S
        except (OSError, http.client.HTTPException) as error:
            print(f"upload broke off ({type(error).__name__}), asking how far it is", file=sys.stderr)
            time.sleep(min(wait, max(0.0, deadline - time.monotonic())))
            wait = min(wait * 2, WAIT_MAX_S)
    raise TimeoutError("the upload did not end in time")


def connect(url: str, ca: str | None) -> http.client.HTTPConnection:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https":
        return http.client.HTTPSConnection(
            parts.hostname, parts.port or 443, timeout=60, context=ssl.create_default_context(cafile=ca)
        )
    return http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=60)


def standing(url: str, login: str, digest: str, size: int, ca: str | None):
    """How many bytes the hub has; None when it is all there and stored."""
    hub = connect(url, ca)
    try:
        headers = {"Authorization": login, "Content-Range": f"bytes */{size}", "Content-Length": "0"}
        hub.request("PUT", f"/bodies/{digest}", headers=headers)
        return judged(hub.getresponse())
    finally:
        hub.close()


def send_rest(url: str, login: str, digest: str, size: int, offset: int, path: pathlib.Path, ca: str | None):
    hub = connect(url, ca)
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            headers = {
                "Authorization": login,
                "Content-Range": f"bytes {offset}-{size - 1}/{size}",
                "Content-Length": str(size - offset),
            }
            hub.request("PUT", f"/bodies/{digest}", body=file, headers=headers)
        judged(hub.getresponse())
    finally:
        hub.close()


def judged(answer: http.client.HTTPResponse):
    """None: stored; a number: so far. What can succeed later is an OSError, like a broken connection."""
    said = answer.read()
    if answer.status in (200, 201):
        return None
    if answer.status == 202:
        return int(answer.headers["Upload-Offset"])
    try:
        problem = json.loads(said)
    except ValueError:
        problem = {}
    if answer.status >= 500 or problem.get("next") not in (None, "after-correction"):
        raise ConnectionError(problem.get("code", answer.status))
    raise Refused(problem.get("code", str(answer.status)))
