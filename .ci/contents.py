"""Fail where a wheel or a source distribution lacks what belongs into it, or holds what does not.

Usage: python .ci/contents.py FOLDER, in the checkout; what git tracks is what there is to ship.
"""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path


def main(folder: str) -> int:
    """Compare the built files with those that git tracks; return 1 where they differ."""
    tracked = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    (wheel,), (sdist,) = Path(folder).glob("*.whl"), Path(folder).glob("*.tar.gz")
    wrong = []
    if not wheel.name.endswith("-py3-none-any.whl"):
        wrong.append(f"{wheel.name}: not for every platform")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        named = {name.partition(".dist-info/")[2] for name in archive.namelist()}
    package = {name for name in tracked if name.startswith("flowmine/")}
    wrong += [f"{wheel.name}: lacks {name}" for name in sorted(package - held)]
    wrong += [f"{wheel.name}: holds {name}" for name in sorted(held - package)]
    wrong += [
        f"{wheel.name}: lacks {name}"
        for name in ("licenses/LICENSE", "entry_points.txt")
        if name not in named
    ]
    for name in ("flowmine/py.typed", "flowmine/docs/install.md", "flowmine/report/templates/report.html"):
        if name not in held:
            wrong.append(f"{wheel.name}: lacks {name}")
    with tarfile.open(sdist) as archive:
        files = {name.partition("/")[2] for name in archive.getnames()}
    parts = ("flowmine/", "tests/", "proto/", "sample_flows/", "deploy/", "notebooks/")
    own = {
        name
        for name in tracked
        if name.startswith(parts) or name in ("README.md", "LICENSE", "pyproject.toml")
    }
    wrong += [f"{sdist.name}: lacks {name}" for name in sorted(own - files)]
    print(*wrong, sep="\n", file=sys.stderr)
    print(f"{wheel.name}: {len(held)} files, {sdist.name}: {len(files)} files")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
