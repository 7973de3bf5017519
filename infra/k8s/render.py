"""Write rendered.yaml: what `kustomize build infra/k8s/base` comes to.

Knows just as much of kustomize as base/kustomization.yaml uses, and refuses the rest.
`--check` writes nothing and says whether the file is what it should be.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
BASE, RENDERED = HERE / "base", HERE / "rendered.yaml"
KNOWN = {
    *("apiVersion", "kind", "namespace", "sortOptions"),
    *("labels", "resources", "images"),
}
CLUSTER_WIDE = {"Namespace"}


def rendered() -> str:
    wanted = yaml.safe_load((BASE / "kustomization.yaml").read_text(encoding="utf-8"))
    if unknown := wanted.keys() - KNOWN:
        raise SystemExit(f"render.py does not know {', '.join(sorted(unknown))}")
    objects = list(each(wanted))
    head = f"# Written by {Path(__file__).name} from base/; change that, not this.\n"
    return head + yaml.safe_dump_all(objects, sort_keys=True, width=100)


def each(wanted: dict[str, Any]) -> Iterator[dict[str, Any]]:
    images = {
        image["name"]: f"{image['newName']}:{image['newTag']}"
        for image in wanted["images"]
    }
    for name in wanted["resources"]:
        for one in yaml.safe_load_all((BASE / name).read_text(encoding="utf-8")):
            for labels in wanted["labels"]:
                one["metadata"].setdefault("labels", {}).update(labels["pairs"])
            if one["kind"] not in CLUSTER_WIDE:
                one["metadata"]["namespace"] = wanted["namespace"]
            if one["kind"] == "Deployment":
                for container in one["spec"]["template"]["spec"]["containers"]:
                    image = container["image"]
                    container["image"] = images.get(image, image)
            yield one


def main(arguments: list[str]) -> int:
    text = rendered()
    if "--check" in arguments:
        if RENDERED.read_text(encoding="utf-8") == text:
            return 0
        sys.stderr.write(f"{RENDERED.name} is not what base/ says: run render.py\n")
        return 1
    RENDERED.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
