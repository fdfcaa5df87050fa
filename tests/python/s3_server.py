#!/usr/bin/env python3
"""A private S3 service for the tests of the store of bodies: moto's server, with its check of signatures turned on.

It listens on 127.0.0.1, makes a user with a key and a bucket, prints one line of JSON and serves until its standard
input ends:

    {"endpoint": "http://127.0.0.1:40123", "access_key_id": "...", "secret_access_key": "...", "bucket": "bodies"}

    s3_server.py [PORT [ACCESS_KEY_ID SECRET]]

With port and key it stands where one stood before that was killed. What that one had is gone: moto keeps all in memory.
"""

import json
import sys

import boto3
from botocore.config import Config
from moto import settings
from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.authorization import ActionAuthenticatorMixin
from moto.iam.models import iam_backends
from moto.server import ThreadedMotoServer

POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
}


def main() -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=int(sys.argv[1]) if len(sys.argv) > 1 else 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"

    def client(service: str):
        return boto3.client(
            service,
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="setup",
            aws_secret_access_key="setup",
            config=Config(proxies={}),
        )

    iam = client("iam")
    iam.create_user(UserName="truc")
    iam.put_user_policy(UserName="truc", PolicyName="bodies", PolicyDocument=json.dumps(POLICY))
    key = iam.create_access_key(UserName="truc")["AccessKey"]
    if len(sys.argv) > 3:
        as_before(key, sys.argv[2], sys.argv[3])
    client("s3").create_bucket(Bucket="bodies")
    # From here every request must be signed by that user's key (moto's own switch: moto_api, reset-auth).
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0.0
    ActionAuthenticatorMixin.request_count = 0
    ready = {
        "endpoint": endpoint,
        "access_key_id": key["AccessKeyId"],
        "secret_access_key": key["SecretAccessKey"],
        "bucket": "bodies",
    }
    print(json.dumps(ready), flush=True)
    sys.stdin.read()


def as_before(key: dict, access_key_id: str, secret: str) -> None:
    """Gives the key that was just made the words of an earlier one: moto itself makes them up."""
    backend = iam_backends[DEFAULT_ACCOUNT_ID]["aws"]
    kept = backend.get_user("truc").access_keys[0]
    kept.access_key_id, kept.secret_access_key = access_key_id, secret
    backend.access_keys = {access_key_id: kept}
    key.update(AccessKeyId=access_key_id, SecretAccessKey=secret)


if __name__ == "__main__":
    main()
