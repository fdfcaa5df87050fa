#!/usr/bin/env python3
"""A client of the hub in Python, written from docs/ and schemas/ alone.

It shows that an integrator needs nothing else, and is the second opinion on the wire in the tests.
It is an example and a test, not a product: one submission at a time, no supervision.

    client.py send    --broker amqp://so-tnmt:PASSWORD@host/truc --system so-tnmt \\
                      --packet doc.edxml --key key.pem --cert cert.pem
    client.py receive --broker ... --system so-tnmt --out inbox --count 3 --timeout 30
    client.py status  --broker ... --system so-tnmt --key key.pem --cert cert.pem \\
                      --about inbox/<delivery>.edxml --from 000.00.12.H60 --code 03

The password may also come from the environment (TRUC_BROKER_PASSWORD). `send` and `status` print the answer,
`receive` prints one line per message, all JSON. Exit status: 0 done (a receipt came, or as many new
deliveries as asked for), 3 refused, 4 no answer or too few deliveries in time, 2 wrong usage.
"""

import argparse
import base64
import datetime
import hashlib
import json
import os
import pathlib
import signal
import sys
import time
import urllib.parse
import uuid
import xml.etree.ElementTree as ElementTree

import bodies
import pika
import pika.exceptions
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

APP = "truc-python-example/1"
SUBMIT = "truc.submit"
ANSWERS = ("receipt", "refusal", "notice")
NAMESPACE = "http://www.mic.gov.vn/TBT/QCVN_102_2016"
VIET_NAM = datetime.timezone(datetime.timedelta(hours=7))
WAIT_MIN_S, WAIT_MAX_S = 0.5, 10.0

DONE, REFUSED, NO_ANSWER = 0, 3, 4


# ---- the seal: docs/reference/seal.md ---------------------------------------------------------------


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def make_seal(key_pem: bytes, cert_pem: bytes, system: str, message_id: str, body: bytes, algorithm=None) -> str:
    """The compact JWS that binds `body` to this system and this message."""
    key = serialization.load_pem_private_key(key_pem, password=None)
    certificate = x509.load_pem_x509_certificates(cert_pem)[0]
    if algorithm is None:
        kinds = {rsa.RSAPrivateKey: "RS256", ec.EllipticCurvePrivateKey: "ES256", ed25519.Ed25519PrivateKey: "EdDSA"}
        algorithm = next(name for kind, name in kinds.items() if isinstance(key, kind))
    header = {
        "alg": algorithm,
        "typ": "truc-seal+jwt",
        "x5t#S256": b64url(certificate.fingerprint(hashes.SHA256())),
    }
    claims = {
        "iss": system,
        "jti": message_id,
        "iat": int(time.time()),
        "sha-256": b64url(hashlib.sha256(body).digest()),
        "size": len(body),
    }
    signed = ".".join(b64url(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
    return signed + "." + b64url(sign(key, algorithm, signed.encode("ascii")))


def sign(key, algorithm: str, data: bytes) -> bytes:
    if algorithm == "RS256":
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    if algorithm == "PS256":
        return key.sign(data, padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH), hashes.SHA256())
    if algorithm == "ES256":
        # JWS wants r and s as 32 bytes each, not the DER that libraries give (RFC 7518 section 3.4).
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    if algorithm == "EdDSA":
        return key.sign(data)
    sys.exit(f"algorithm {algorithm} is not one the hub takes")


# ---- the broker: docs/reference/wire.md, sections 1 and 2 -----------------------------------------------


def connect(broker: str) -> pika.BlockingConnection:
    url = urllib.parse.urlsplit(broker)
    password = os.environ.get("TRUC_BROKER_PASSWORD")
    if url.password is None and password is not None:
        user = f"{url.username}:{urllib.parse.quote(password, safe='')}@"
        host = url.hostname + (f":{url.port}" if url.port else "")
        broker = urllib.parse.urlunsplit(url._replace(netloc=user + host))
    parameters = pika.URLParameters(broker)
    parameters.heartbeat = 30
    parameters.socket_timeout = 10
    parameters.blocked_connection_timeout = 60
    return pika.BlockingConnection(parameters)


def publish(channel, system: str, kind: str, message_id: str, body: bytes, seal=None, priority=0, apart=None):
    """Publishes to the hub and returns when the broker has confirmed. Raises when it has not.

    `apart` names bytes that were uploaded before; the message then has none of its own.
    """
    headers = {name: value for name, value in (("truc-seal", seal), ("truc-body", apart)) if value}
    properties = pika.BasicProperties(
        type=kind,
        message_id=message_id,
        user_id=system,
        content_type="application/json" if kind == "taken" else "application/edxml+xml",
        delivery_mode=2,
        priority=priority,
        timestamp=int(time.time()),
        app_id=APP,
        headers=headers or None,
    )
    # With confirm_delivery on, this raises UnroutableError for a returned message and NackError.
    channel.basic_publish(SUBMIT, kind, b"" if apart else body, properties, mandatory=True)


def publishing_channel(connection):
    channel = connection.channel()
    channel.confirm_delivery()
    return channel


# ---- sending: sections 2 to 4 -----------------------------------------------------------------------


def submit(args, kind: str, body: bytes, apart=None) -> int:
    """Seals, publishes and awaits the answer; publishes again under the same id when a connection breaks."""
    message_id = fix_message_id(args, body)
    seal = None
    if not args.no_seal:
        key, cert = args.key.read_bytes(), args.cert.read_bytes()
        seal = make_seal(key, cert, args.system, message_id, body, args.algorithm)
    deadline = time.monotonic() + args.timeout
    wait = WAIT_MIN_S
    while time.monotonic() < deadline:
        try:
            answer = attempt(args, kind, message_id, body, seal, deadline, apart)
        except (pika.exceptions.UnroutableError, pika.exceptions.NackError, pika.exceptions.AMQPConnectionError) as error:
            print(f"not sent ({type(error).__name__}), trying again", file=sys.stderr)
            time.sleep(min(wait, max(0.0, deadline - time.monotonic())))
            wait = min(wait * 2, WAIT_MAX_S)
            continue
        except pika.exceptions.AMQPChannelError as error:
            # The broker refused the operation itself: another's inbox, a forged user_id. No retry helps.
            print(json.dumps({"type": "broker-refused", "reason": str(error)}))
            return REFUSED
        if answer is None:
            break
        kind_of_answer, answer = answer
        print(json.dumps(answer, ensure_ascii=False))
        return DONE if kind_of_answer == "receipt" else REFUSED
    print(json.dumps({"type": "no-answer", "message_id": message_id}))
    return NO_ANSWER


def send_document(args) -> int:
    """Sends a packet in its message, or apart when a service of bodies is named."""
    apart = None
    if args.bodies:
        password = urllib.parse.urlsplit(args.broker).password
        password = urllib.parse.unquote(password) if password else os.environ.get("TRUC_BROKER_PASSWORD", "")
        try:
            apart = bodies.upload(args.bodies, args.system, password, args.packet, args.timeout, args.bodies_ca)
        except bodies.Refused as refused:
            print(json.dumps({"type": "upload-refused", "code": str(refused)}))
            return REFUSED
        except TimeoutError:
            print(json.dumps({"type": "no-answer", "message_id": None}))
            return NO_ANSWER
    return submit(args, "document", args.packet.read_bytes(), apart)


def fix_message_id(args, body: bytes) -> str:
    """The key of this submission: chosen once, and on disk before the first publish."""
    if args.message_id:
        return str(uuid.UUID(args.message_id))
    if args.state is None:
        return str(uuid.uuid4())
    args.state.mkdir(parents=True, exist_ok=True)
    path = args.state / (hashlib.sha256(body).hexdigest() + ".message-id")
    if not path.exists():
        write_durably(path, str(uuid.uuid4()).encode())
    return path.read_text()


def attempt(args, kind, message_id, body, seal, deadline, apart=None):
    """One publish and the wait for its answer. None when the time is over."""
    reading = connect(args.broker)
    writing = connect(args.broker)
    try:
        channel = reading.channel()
        # What is not ours stays unsettled and goes back when the connection closes; the prefetch must be
        # larger than the hub's window, or documents could stand in the way of the answer.
        channel.basic_qos(prefetch_count=200)
        publish(publishing_channel(writing), args.system, kind, message_id, body, seal, args.priority, apart)
        for method, properties, answer in channel.consume(f"truc.inbox.{args.system}", inactivity_timeout=0.5):
            writing.process_data_events(time_limit=0)
            if method is None:
                if time.monotonic() > deadline:
                    return None
                continue
            if properties.type in ("receipt", "refusal") and properties.correlation_id == message_id:
                answer = json.loads(answer)
                if args.state is not None:
                    write_durably(args.state / f"{message_id}.{properties.type}.json", json.dumps(answer).encode())
                channel.basic_ack(method.delivery_tag)
                return properties.type, answer
            if time.monotonic() > deadline:
                return None
        return None
    finally:
        for connection in (reading, writing):
            if connection.is_open:
                connection.close()


# ---- receiving: section 5 ---------------------------------------------------------------------------


def receive(args) -> int:
    """Stores messages of the inbox, in the order store, taken, ack. Ends after `count` new deliveries."""
    args.out.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + args.timeout
    wait = WAIT_MIN_S
    left = args.count
    while left > 0 and time.monotonic() < deadline:
        try:
            left = receive_on_one_connection(args, left, deadline)
        except pika.exceptions.AMQPChannelError as error:
            print(json.dumps({"type": "broker-refused", "reason": str(error)}))
            return REFUSED
        except (pika.exceptions.AMQPError, OSError) as error:
            print(f"connection lost ({type(error).__name__}), trying again", file=sys.stderr)
            time.sleep(min(wait, max(0.0, deadline - time.monotonic())))
            wait = min(wait * 2, WAIT_MAX_S)
    return DONE if left <= 0 else NO_ANSWER


def receive_on_one_connection(args, left: int, deadline: float) -> int:
    reading = connect(args.broker)
    writing = connect(args.broker)
    try:
        channel = reading.channel()
        channel.basic_qos(prefetch_count=16)
        taken = publishing_channel(writing)
        for method, properties, body in channel.consume(f"truc.inbox.{args.system}", inactivity_timeout=0.5):
            writing.process_data_events(time_limit=0)
            if method is not None:
                left -= handle(args, channel, taken, method, properties, body)
            if left <= 0 or time.monotonic() > deadline:
                return left
        return left
    finally:
        for connection in (reading, writing):
            if connection.is_open:
                connection.close()


def handle(args, channel, taken, method, properties, body: bytes) -> int:
    """One message of the inbox. 1 when it was a new document or status."""
    headers = properties.headers or {}
    delivery = str(uuid.UUID(headers["truc-delivery"]))
    facts = {
        "type": properties.type,
        "delivery": delivery,
        "correlation_id": properties.correlation_id,
        "priority": properties.priority,
        "redelivered": method.redelivered,
        **{name.removeprefix("truc-"): value for name, value in headers.items() if name.startswith("truc-")},
    }
    if "signature" in facts:
        facts["signature"] = json.loads(facts["signature"])
    is_answer = properties.type in ANSWERS
    if is_answer:
        facts["body"] = json.loads(body)

    side = args.out / f"{delivery}.json"
    known = side.exists()
    outcome = {"taken": [delivery]}
    # An order that overtakes: what was not handed over is withdrawn, on disk before the hub hears of it.
    codes = facts.get("withdraws-for", [])
    ordered_back = facts.get("withdraws", [])
    words = [withdraw(args, str(uuid.UUID(other)), codes) for other in ordered_back]
    words = [word for word in words if word is not None]
    # Nothing is left of an order whose deliveries are all withdrawn, and that concerns nothing else.
    moot = bool(ordered_back) and not codes and len(words) == len(ordered_back)
    back = withdrawn_for(args, delivery)
    if back is not None and not known and not is_answer:
        words.append({"delivery": delivery, **({"for": back} if back else {})})
        facts["to"] = [code for code in facts["to"] if back and code not in back]
        if not facts["to"]:
            outcome = {}
            moot = True
    if words:
        outcome["withdrawn"] = words
        facts["withdrawn"] = words
    if hashlib.sha256(body).hexdigest() != facts["sha256"]:
        known = True
        reason = "the body's SHA-256 is not that of the header truc-sha256"
        outcome = {"refused": [{"delivery": delivery, "code": "digest-mismatch", "reason": reason}]}
    elif moot:
        known = True
    elif not known:
        # The packet first, then its facts: the side file is what says that a delivery is known.
        if not is_answer:
            write_durably(args.out / f"{delivery}.edxml", body)
        write_durably(side, json.dumps(facts, ensure_ascii=False, indent=2).encode())
    die_if_told(args, "stored")

    if not is_answer:
        publish(taken, args.system, "taken", str(uuid.uuid4()), json.dumps(outcome).encode())
        die_if_told(args, "taken")
    channel.basic_ack(method.delivery_tag)
    print(json.dumps({**facts, "new": not known}, ensure_ascii=False), flush=True)
    return 0 if is_answer or known else 1


def withdraw(args, delivery: str, codes: list):
    """Notes that a delivery must not be stored any more: the word for the hub, or None when it is too late."""
    if (args.out / f"{delivery}.json").exists() or (args.out / f"{delivery}.edxml").exists():
        return None
    before = withdrawn_for(args, delivery)
    if before != []:
        # No codes: for all. What was withdrawn for some before stays withdrawn for them.
        codes = sorted({*codes, *(before or [])}) if codes else []
        write_durably(args.out / f"{delivery}.withdrawn", json.dumps(codes).encode())
    else:
        codes = []
    return {"delivery": delivery, **({"for": codes} if codes else {})}


def withdrawn_for(args, delivery: str):
    """The codes for which a delivery is withdrawn; an empty list: for all; None: it is not."""
    note = args.out / f"{delivery}.withdrawn"
    return json.loads(note.read_bytes()) if note.exists() else None


def write_durably(path: pathlib.Path, data: bytes):
    """The whole file or none, whatever is killed and whenever the power fails."""
    temporary = path.with_name(f".{path.name}.tmp")
    with open(temporary, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def die_if_told(args, step: str):
    if args.die_after == step:
        os.kill(os.getpid(), signal.SIGKILL)


# ---- statuses: section 6 and docs/reference/edxml.md -------------------------------------------------


def status(args) -> int:
    return submit(args, "status", status_packet(args))


def status_packet(args) -> bytes:
    """A status packet about a document packet that was received."""
    document = args.about.read_bytes()
    if b"<!DOCTYPE" in document:
        sys.exit("the packet holds a DOCTYPE")
    header = ElementTree.fromstring(document).find(f".//{{{NAMESPACE}}}MessageHeader")

    def value(path: str) -> str:
        found = header.find("/".join(f"{{{NAMESPACE}}}{name}" for name in path.split("/")))
        return (found.text or "").strip() if found is not None else ""

    ElementTree.register_namespace("edXML", NAMESPACE)
    root = ElementTree.Element(f"{{{NAMESPACE}}}edXML")
    message = root
    for name in ("edXMLEnvelope", "edXMLHeader", "MessageHeader"):
        message = ElementTree.SubElement(message, f"{{{NAMESPACE}}}{name}")

    def add(parent, name: str, text: str):
        if text:
            ElementTree.SubElement(parent, f"{{{NAMESPACE}}}{name}").text = text

    code = getattr(args, "from")
    names = {
        party.findtext(f"{{{NAMESPACE}}}OrganId", "").strip(): party.findtext(f"{{{NAMESPACE}}}OrganName", "").strip()
        for tag in ("From", "To")
        for party in header.findall(f"{{{NAMESPACE}}}{tag}")
    }
    reporter = ElementTree.SubElement(message, f"{{{NAMESPACE}}}From")
    add(reporter, "OrganId", code)
    add(reporter, "OrganName", args.name or names.get(code, ""))
    about = ElementTree.SubElement(message, f"{{{NAMESPACE}}}ResponseFor")
    # Status 13 runs from the document's sender to the recipient that is asked to give it back.
    add(about, "OrganId", args.to or value("From/OrganId"))
    add(about, "Code", f"{value('Code/CodeNumber')}/{value('Code/CodeNotation')}")
    add(about, "PromulgationDate", value("PromulgationInfo/PromulgationDate"))
    add(about, "DocumentId", value("DocumentId"))
    add(message, "StatusCode", args.code)
    add(message, "Description", args.reason)
    add(message, "Timestamp", datetime.datetime.now(VIET_NAM).strftime("%Y/%m/%d %H:%M:%S"))
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="utf-8")


# ---- the command line -------------------------------------------------------------------------------


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name, text, timeout):
        sub = commands.add_parser(name, help=text)
        sub.add_argument("--broker", required=True, help="amqp://user[:password]@host[:port]/vhost")
        sub.add_argument("--system", required=True, help="the system id, which is also the broker user")
        sub.add_argument("--timeout", type=float, default=timeout, help="seconds to wait in all")
        return sub

    def sending(sub):
        sub.add_argument("--key", type=pathlib.Path, help="private key, PKCS#8 PEM")
        sub.add_argument("--cert", type=pathlib.Path, help="certificate, PEM; the first in the file counts")
        sub.add_argument("--algorithm", choices=["RS256", "PS256", "ES256", "EdDSA"], help="default: by the key")
        sub.add_argument("--no-seal", action="store_true", help="send without a seal")
        sub.add_argument("--message-id", help="send under this id: a repeat")
        sub.add_argument("--state", type=pathlib.Path, help="folder for the ids and answers of submissions")
        sub.add_argument("--priority", type=int, default=0, choices=range(5), help="OtherInfo/Priority")

    send = command("send", "send one document packet and await the answer", 60)
    sending(send)
    send.add_argument("--packet", type=pathlib.Path, required=True)
    send.add_argument("--bodies", metavar="URL", help="upload the packet there, and name it in the message (bodies.md)")
    send.add_argument("--bodies-ca", metavar="FILE", help="PEM file of the authority of that service's certificate")

    report = command("status", "report a status about a received packet", 60)
    sending(report)
    report.add_argument("--about", type=pathlib.Path, required=True, help="the document packet")
    report.add_argument("--from", required=True, help="code of the agency that reports")
    report.add_argument("--name", default="", help="its name; default: as the packet has it")
    report.add_argument("--to", help="with 13: code of the recipient asked; default: the document's sender")
    report.add_argument("--code", required=True, help="01-06, 13, 15, 16")
    report.add_argument("--reason", default="", help="asked for with 02, 13, 16")

    inbox = command("receive", "store what is in the inbox", 30)
    inbox.add_argument("--out", type=pathlib.Path, required=True)
    inbox.add_argument("--count", type=int, default=1, help="end after so many new documents and statuses")
    inbox.add_argument("--die-after", choices=["stored", "taken"], help="kill this process there (for tests)")

    args = parser.parse_args()
    if args.command != "receive" and not args.no_seal and not (args.key and args.cert):
        parser.error("--key and --cert are needed for the seal (or --no-seal)")
    return args


def main() -> int:
    args = arguments()
    if args.command == "send":
        return send_document(args)
    if args.command == "status":
        return status(args)
    return receive(args)


if __name__ == "__main__":
    sys.exit(main())
