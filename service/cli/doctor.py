"""`darkroom doctor`: what is wrong here, the worst first, and what to do about it."""

import asyncio
from typing import TYPE_CHECKING

from service.cli.context import AsJson, DataDir, read_settings, redis_url
from service.cli.failure import Failure
from service.cli.output import emit

if TYPE_CHECKING:
    from service.doctor import Finding
    from service.settings import Settings

_MARKS = {"FAILURE": "✗", "WARNING": "!", "OK": "✓"}


def doctor(data_dir: DataDir = None, json: AsJson = False) -> None:
    """Look at everything a running system needs; the worst comes first."""
    findings = asyncio.run(_findings(read_settings(data_dir)))
    findings.sort(key=lambda finding: finding.grade)
    if json:
        emit(
            [
                {
                    "grade": finding.grade.name.lower(),
                    "subject": finding.subject,
                    "text": finding.text,
                    "remedy": finding.remedy,
                }
                for finding in findings
            ]
        )
    else:
        for finding in findings:
            print(f"{_MARKS[finding.grade.name]} {finding.subject}: {finding.text}")
            if finding.remedy is not None:
                print(f"    {finding.remedy}")
    failures = sum(finding.grade.name == "FAILURE" for finding in findings)
    if failures:
        raise Failure("1 failure" if failures == 1 else f"{failures} failures")


async def _findings(settings: "Settings") -> "list[Finding]":
    from service.doctor import examine

    there = settings.model_copy(update={"redis_url": redis_url(settings)})
    return [finding async for finding in examine(there)]
