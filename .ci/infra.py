"""Hold what lies in infra/ to the rules of those who will read it.

What is installed with `make check` always runs. promtool (Debian's prometheus) and
terraform are asked where they are there; who is missing is named. What nginx makes of
its file, a test on the wire shows.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
INFRA = ROOT / "infra"
BIN = Path(sys.executable).parent
YAML_RULES = (
    "{extends: default, rules: {line-length: disable, document-start: disable,"
    " braces: {max-spaces-inside: 1}, truthy: {check-keys: false},"
    " comments: {min-spaces-from-content: 1}}}"
)
CUSTOM = "ScaledObject"
"""Kinds whose schema is not Kubernetes's own."""


def checks(folder: Path) -> Iterator[tuple[str, ...]]:
    """Yield commands; `folder` is for what they need written down."""
    compose, prometheus = INFRA / "compose.yaml", INFRA / "prometheus"
    rendered = INFRA / "k8s" / "rendered.yaml"
    sheets = {path for end in ("*.yaml", "*.yml") for path in INFRA.rglob(end)}
    yield _ours("hadolint", INFRA / "Dockerfile")
    yield _ours("check-jsonschema", "--builtin-schema", _COMPOSE, compose)
    yield _ours("yamllint", "--strict", "-d", YAML_RULES, *sorted(sheets - {rendered}))
    yield _ours("shellcheck", ROOT / ".ci" / "run")
    yield (sys.executable, str(INFRA / "k8s" / "render.py"), "--check")
    yield _ours("kubernetes-validate", "--strict", "--quiet", _known(rendered, folder))
    yield _found("promtool", "check", "rules", prometheus / "alerts.yml")
    yield _found("promtool", "test", "rules", prometheus / "alerts_test.yml")
    yield _found(
        *("promtool", "check", "config", "--syntax-only"), prometheus / "prometheus.yml"
    )
    yield _found("terraform", "fmt", "-check", INFRA / "terraform")


_COMPOSE = "vendor.compose-spec"


def _ours(name: str, *arguments: object) -> tuple[str, ...]:
    return (str(BIN / name), *map(str, arguments))


def _found(name: str, *arguments: object) -> tuple[str, ...]:
    return (shutil.which(name) or name, *map(str, arguments))


def _known(rendered: Path, folder: Path) -> Path:
    parts = rendered.read_text(encoding="utf-8").split("\n---\n")
    plain = folder / "known.yaml"
    kept = [part for part in parts if f"\nkind: {CUSTOM}\n" not in f"\n{part}"]
    plain.write_text("\n---\n".join(kept), encoding="utf-8")
    return plain


def main() -> int:
    """Run all of them; say only what is wrong, and who was not there to say so."""
    worst, missing = 0, set[str]()
    with tempfile.TemporaryDirectory() as folder:
        for program, *arguments in checks(Path(folder)):
            if not Path(program).is_absolute():
                missing.add(program)
                continue
            ran = subprocess.run(
                [program, *arguments], capture_output=True, text=True, check=False
            )
            if ran.returncode:
                worst = 1
                name = Path(program).name
                sys.stdout.write(f"{name} {arguments[-1]}:\n{ran.stdout}{ran.stderr}\n")
    for name in sorted(missing):
        sys.stdout.write(f"WARNING: infra/ not checked by {name}: not installed\n")
    return worst


if __name__ == "__main__":
    sys.exit(main())
