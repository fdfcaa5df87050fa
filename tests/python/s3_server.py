#!/usr/bin/env python3
"""A private S3 service for the tests of the store of bodies: moto's server, with its check of signatures turned on.

It listens on 127.0.0.1, makes a user with a key and a bucket, prints one line of JSON and serves until its standard
input ends:

    {"endpoint": "http://127.0.0.1:40123", "access_key_id": "...", "secret_access_key": "...", "bucket": "bodies"}
"""

import json
import sys

import boto3
from botocore.config import Config
from moto import settings
from moto.core.authorization import ActionAuthenticatorMixin
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


if __name__ == "__main__":
    main()
