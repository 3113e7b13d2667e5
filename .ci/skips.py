"""Fail where a test was skipped that .ci/skips.txt does not list with its reason."""

import sys
from pathlib import Path
from xml.etree import ElementTree


def main(report: str) -> int:
    """Compare the skipped tests of a JUnit report with the list; return 1 where one is not on it."""
    lines = (Path(__file__).with_name("skips.txt")).read_text().splitlines()
    listed = dict(line.split(" — ", 1) for line in lines if line and not line.startswith("#"))
    skipped = [
        (f"{case.get('classname')}::{case.get('name')}", skip.get("message", ""))
        for case in ElementTree.parse(report).iter("testcase")
        for skip in case.iter("skipped")
    ]
    unlisted = [(name, why) for name, why in skipped if name not in listed]
    for name, why in unlisted:
        print(f"skipped without being listed in .ci/skips.txt: {name}: {why}", file=sys.stderr)
    return 1 if unlisted else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
