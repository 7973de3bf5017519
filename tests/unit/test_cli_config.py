"""`darkroom config` shows what is set and where it came from, without secrets."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from service.cli.app import app
from service.cli.context import redis_url
from service.cli.failure import Failure
from service.settings import Settings
from service.settings.redis_urls import without_password


@pytest.fixture
def shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Any]]:
    """Run `config show --json` in an empty folder with these variables."""
    monkeypatch.chdir(tmp_path)
    for name in [n for n in os.environ if n.startswith("DARKROOM_")]:
        monkeypatch.delenv(name)

    def shown(**env: str) -> Any:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        ran = CliRunner().invoke(app, ["config", "show", "--json"])
        assert ran.exception is None, ran.exception
        return json.loads(ran.stdout)

    return shown


def test_every_value_names_its_source(shown, tmp_path: Path):
    (tmp_path / "darkroom.toml").write_text("[worker]\nmax_jobs = 7\n")

    settings = shown(DARKROOM_WORKER__LEASE_S="9")

    assert settings["DARKROOM_WORKER__LEASE_S"] == {
        "value": 9.0,
        "from": "environment",
    }
    assert settings["DARKROOM_WORKER__MAX_JOBS"]["value"] == 7
    assert settings["DARKROOM_WORKER__MAX_JOBS"]["from"].startswith("darkroom.toml")
    assert settings["DARKROOM_PORT"] == {"value": 8080, "from": "default"}


def test_no_secret_is_shown(shown):
    settings = shown(
        DARKROOM_BOOTSTRAP_KEY="sk_secret",
        DARKROOM_REDIS_URL="redis://me:secret@redis.internal:6379/0",
    )

    assert "secret" not in json.dumps(settings)
    url = settings["DARKROOM_REDIS_URL"]["value"]
    assert url == "redis://me:***@redis.internal:6379/0"


def test_a_url_without_a_password_is_shown_as_it_is():
    assert without_password("unix:///srv/valkey.sock") == "unix:///srv/valkey.sock"


def test_the_data_folder_says_where_redis_is_unless_it_is_set(tmp_path: Path):
    here = '{"pid": 1, "url": "http://x", "redis_url": "unix:///s"}'
    (tmp_path / "up.lock").write_text(here)

    assert redis_url(Settings(data_dir=tmp_path)) == "unix:///s"
    assert redis_url(Settings(data_dir=tmp_path, redis_url="redis://r")) == "redis://r"


def failure(*command: str) -> Failure:
    """How a command ends that must not succeed."""
    ran = CliRunner().invoke(app, list(command))
    assert isinstance(ran.exception, Failure), ran.output
    return ran.exception


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (("keys", "create", "--scope", "x"), "unknown scope x"),
        (("keys", "create", "--account", "a b"), "an account is 1 to 64 letters"),
        (("keys", "create", "--on-ambiguous", "x"), "--on-ambiguous x is none of"),
        (("keys", "create", "--models", "nix"), "there is no model 'nix'"),
        (("keys", "create", "--expires", "soon"), "--expires soon is no ISO time"),
        (("jobs", "list", "--url", "ftp://x"), "ftp://x is no http:// or https://"),
        (("jobs", "list", "--url", "http://x:y"), "http://x:y is no http://"),
        (("jobs", "list", "--url", "http://x"), "no API key"),
        (("jobs", "list"), "nothing runs on the data folder"),
        (("generate", "a", "--out", "/dev/null/x"), "cannot write to /dev/null/x"),
        (("batch", "submit", "nix.txt", "--out", "o"), "cannot read nix.txt"),
        (("batch", "submit", "/dev/null", "--out", "o"), "there are no prompts"),
    ],
    ids=" ".join,
)
def test_what_is_wrong_with_a_command_is_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
    sentence: str,
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DARKROOM_API_KEY", raising=False)

    ended = failure(*command)

    assert str(ended).startswith(sentence)
    assert ended.exit_code == 2
