"""Make the bucket of DARKROOM_STORAGE__*, and set its lifecycle where a store has one.

Needs rights that Darkroom itself does not: front doors and workers only use a bucket.
Waits for a store that is still starting; again does no harm.
"""

import json
import os
import sys
import time
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

PATIENCE_S = 60
LIFECYCLE = Path(__file__).with_name("lifecycle.json")
OURS = frozenset({"BucketAlreadyOwnedByYou", "BucketAlreadyExists"})


def main() -> int:
    told = {
        name.removeprefix("DARKROOM_STORAGE__"): value
        for name, value in os.environ.items()
        if name.startswith("DARKROOM_STORAGE__")
    }
    store = boto3.client(
        "s3",
        endpoint_url=told.get("ENDPOINT_URL"),
        region_name=told.get("REGION", "us-east-1"),
        aws_access_key_id=told.get("ACCESS_KEY_ID"),
        aws_secret_access_key=told.get("SECRET_ACCESS_KEY"),
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}),
    )
    bucket, until = told.get("BUCKET", "darkroom"), time.monotonic() + PATIENCE_S
    while (why := made(store, bucket)) is not None:
        if time.monotonic() > until:
            sys.stderr.write(f"no bucket {bucket}: {why}\n")
            return 1
        time.sleep(1)
    if LIFECYCLE.exists():
        rules = json.loads(LIFECYCLE.read_text(encoding="utf-8"))
        try:
            store.put_bucket_lifecycle_configuration(
                Bucket=bucket, LifecycleConfiguration=rules
            )
        except ClientError as exc:  # nothing depends on it: the sweep deletes
            sys.stderr.write(f"no lifecycle here: {exc}\n")
    return 0


def made(store, bucket):
    """Return why there is no bucket; None: there is one."""
    try:
        store.create_bucket(Bucket=bucket)
    except ClientError as exc:
        return None if exc.response["Error"]["Code"] in OURS else exc
    except BotoCoreError as exc:
        return exc
    return None


if __name__ == "__main__":
    sys.exit(main())
