"""What is wrong with a policy file, line by line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from core.domain.errors import BatonError

#: Leads to a value of the file: ("stages", 1, "gates", 0, "at_least").
Path = tuple[str | int, ...]
#: A path, what is wrong there, what would be right.
Wrong = tuple[Path, str, str]


@dataclass(frozen=True)
class Finding:
    """One thing wrong, as `baton.yml:12: stages[1].gates[0].at_least: "high" is not a number; write a number such as 0.90.`"""

    file: str
    line: int
    where: str
    problem: str
    remedy: str = ""

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{self.file}:{self.line}: {place}{self.problem}{remedy}."


class PolicyError(BatonError):
    """The policy file cannot be used; `findings` say why, in the order of the file."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = sorted(findings, key=lambda finding: finding.line)
        super().__init__("\n".join(str(finding) for finding in self.findings))


def place(file: str, lines: Mapping[Path, int], wrong: Wrong) -> Finding:
    """A finding with its line: that of the value, or of the nearest thing around it that is there."""
    path, problem, remedy = wrong
    around = next((path[:end] for end in range(len(path), 0, -1) if path[:end] in lines), ())
    return Finding(file, lines.get(around, 1), spell(path), problem, remedy)


def spell(path: Path) -> str:
    """`stages[1].gates[0].at_least`."""
    spelled = ""
    for step in path:
        if isinstance(step, int):
            spelled += f"[{step}]"
        else:
            key = "".join(char if char.isprintable() else "\ufffd" for char in step)
            spelled += f"{'.' if spelled else ''}{key if len(key) <= 80 else f'{key[:79]}…'}"
    return spelled


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant."""
    by_lower = {each.lower(): each for each in known}
    found = difflib.get_close_matches(name[:100].lower(), by_lower, 1)
    return by_lower[found[0]] if found else None
