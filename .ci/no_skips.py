"""Fail when a test was skipped that could have run here, or when nothing ran."""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

ALLOWED = ("needs ../shared",)  # data that lies beside this checkout on the developers' machines only


def main(report: str) -> int:
    """Return the exit code for a JUnit report."""
    cases = list(ET.parse(report).getroot().iter("testcase"))
    skipped = [(case, case.find("skipped")) for case in cases]
    shared = (Path(__file__).resolve().parents[2] / "shared").is_dir()
    bad = []
    for case, mark in skipped:
        if mark is None:
            continue
        reason = mark.get("message") or ""
        if shared or not reason.startswith(ALLOWED):
            bad.append(f"{case.get('classname')}::{case.get('name')}: {reason}")
    print(f"{len(cases)} tests, {sum(mark is not None for _, mark in skipped)} skipped")
    print("\n".join(bad))
    return 1 if bad or not cases else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
