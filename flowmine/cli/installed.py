"""What is installed of flowmine's own requirements, from the metadata of packages: nothing is imported."""

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

__all__ = ["Package", "extras", "packages", "requirements"]

_REQUIREMENT = re.compile(
    r"(?P<name>[\w.-]+)\s*(?:>=\s*(?P<floor>[\w.]+))?[^;]*(?:;.*extra\s*==\s*[\"'](?P<extra>[\w-]+))?"
)


@dataclass(frozen=True, slots=True)
class Package:
    """A package that flowmine needs, or an extra of it: the lowest version allowed, and the one that is here."""

    name: str
    extra: str = ""
    floor: str = ""
    version: str = ""
    """Empty where it is not installed."""

    @property
    def is_too_old(self) -> bool:
        """Tell whether a version is here, and below the floor."""
        return bool(self.version and self.floor) and _numbers(self.version) < _numbers(self.floor)


def requirements() -> tuple[str, ...]:
    """Return flowmine's requirements as its metadata has them, or in a source tree its pyproject.toml; else none."""
    try:
        return tuple(metadata.requires("flowmine") or ())
    except metadata.PackageNotFoundError:
        return _declared(Path(__file__).parents[2] / "pyproject.toml")


def _declared(path: Path) -> tuple[str, ...]:
    """Return the requirements of a pyproject.toml, in the form of metadata; none where there is no such file."""
    if not path.is_file():
        return ()
    project = tomllib.loads(path.read_text("utf-8"))["project"]
    more = project["optional-dependencies"].items()
    return (
        *project["dependencies"],
        *(f'{each}; extra == "{name}"' for name, texts in more for each in texts),
    )


def packages(texts: Iterable[str]) -> tuple[Package, ...]:
    """Return what requirements ask for, those without an extra first, with the versions that are here.

    >>> packages(["no-such-package>=1.2; extra == 'k8s'"])
    (Package(name='no-such-package', extra='k8s', floor='1.2', version=''),)
    """
    found = sorted(_found(texts), key=lambda each: (each.extra, each.name.lower()))
    return tuple(found)


def extras(found: Iterable[Package]) -> dict[str, tuple[Package, ...]]:
    """Return the packages of each extra, by its name."""
    of: dict[str, list[Package]] = {}
    for each in found:
        if each.extra:
            of.setdefault(each.extra, []).append(each)
    return {name: tuple(of[name]) for name in sorted(of)}


def _found(texts: Iterable[str]) -> Iterator[Package]:
    for text in texts:
        match = _REQUIREMENT.match(text)
        if match is None:
            continue
        try:
            version = metadata.version(match["name"])
        except metadata.PackageNotFoundError:
            version = ""
        yield Package(match["name"], match["extra"] or "", match["floor"] or "", version)


def _numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: 1.66.0rc1 is (1, 66, 0); trailing zeros do not count."""
    numbers = [int(part) for part in re.findall(r"\d+", re.split(r"[a-z+-]", version)[0])]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
