"""What lies in infra/ fits the settings and the documentation."""

import json
import re
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import yaml

from service.settings import Settings

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
NOTICE_S, LAST_WORDS_S = 5, 10
"""What a front door waits before its drain, and a worker behind it."""


def compose():
    return yaml.safe_load((INFRA / "compose.yaml").read_text())["services"]


def deployments():
    every = yaml.safe_load_all((INFRA / "k8s" / "rendered.yaml").read_text())
    return {
        one["metadata"]["name"]: one for one in every if one["kind"] == "Deployment"
    }


def test_the_rendered_manifests_are_what_their_base_says():
    script = [sys.executable, INFRA / "k8s" / "render.py", "--check"]

    assert subprocess.run(script, check=False).returncode == 0


def test_nobody_is_killed_before_the_drain_is_over():
    own = Settings()
    web_s, worker_s = own.drain_s + NOTICE_S, own.worker.drain_s + LAST_WORDS_S
    manifests = [*yaml.safe_load_all((INFRA / "k8s" / "rendered.yaml").read_text())]
    [told] = [one["data"] for one in manifests if one["kind"] == "ConfigMap"]
    pods = {
        name: one["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        for name, one in deployments().items()
    }

    assert pods["web"] > float(told["DARKROOM_DRAIN_S"]) + NOTICE_S
    assert pods["worker"] > float(told["DARKROOM_WORKER__DRAIN_S"]) + LAST_WORDS_S
    for name, least_s in {"web": web_s, "worker": worker_s}.items():
        assert int(compose()[name]["stop_grace_period"].removesuffix("s")) > least_s
    for name, least_s in {"web": web_s, "worker@": worker_s}.items():
        unit = RawConfigParser(strict=False)
        unit.read(INFRA / "systemd" / f"darkroom-{name}.service")
        assert unit.getint("Service", "TimeoutStopSec") > least_s


def test_the_settings_of_the_fleets_are_settings():
    known = set(re.findall(r"`(DARKROOM_\w+)`", documented()))
    files = [path for path in INFRA.rglob("*") if path.is_file()]
    named = {
        name.removesuffix("_FILE")
        for path in files
        for name in re.findall(r"\bDARKROOM_[A-Z0-9_]+\b", path.read_text())
        if path.name != "catalog.toml"
    }

    assert named - known - {
        "DARKROOM_KEY",
        "DARKROOM_STORAGE__",
        "DARKROOM_LIMITS__",
    } == (set())


def test_the_user_of_redis_is_the_documented_one():
    [wanted] = re.findall(r"^    ACL SETUSER (.*)$", documented(), re.MULTILINE)
    lines = (INFRA / "redis" / "users.acl").read_text().splitlines()
    terraform = (INFRA / "terraform" / "redis.tf").read_text()

    assert f"user {wanted}" in lines
    assert wanted.partition(">PASSWORD ")[2] in terraform


def test_the_policy_allows_what_the_store_does_and_no_more():
    policy = json.loads((INFRA / "s3" / "policy.json").read_text())
    allowed = {
        action
        for statement in policy["Statement"]
        for action in [statement["Action"]]
        if isinstance(action, str)
    } | {
        a
        for s in policy["Statement"]
        if isinstance(s["Action"], list)
        for a in s["Action"]
    }

    assert allowed == {
        "s3:GetObject",
        "s3:PutObject",
        "s3:DeleteObject",
        "s3:ListBucket",
    }


def documented() -> str:
    return (ROOT / "docs" / "configuration.md").read_text()
