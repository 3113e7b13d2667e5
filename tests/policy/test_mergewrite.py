"""Changes of files: a diff that git and patch take, and writing that is whole or has not happened."""

import os
import subprocess
from pathlib import Path

import pytest

from flowmine.errors import UsageError
from flowmine.policy.mergewrite import Change, unified_diff, write_changes


def change(root: Path, name: str, before: str | None, after: str) -> Change:
    return Change(name, root / name, None if before is None else before.encode(), after.encode())


@pytest.fixture
def changes(tmp_path: Path) -> list[Change]:
    """One changed file, one without its last line break, one new in a new folder, one with a name of two words."""
    made = [
        change(tmp_path, "a.yaml", "one\ntwo\nthree\n", "one\ntwo\nmore\nthree\n"),
        change(tmp_path, "deep/b.yaml", "x: 1", "x: 1\ny: 2"),
        change(tmp_path, "new/c.yaml", None, "c: 1\n"),
        change(tmp_path, "two words.yaml", "a\r\n", "a\r\nb\r\n"),
    ]
    for each in made:
        if each.before is not None:
            each.path.parent.mkdir(exist_ok=True)
            each.path.write_bytes(each.before)
    return made


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_the_diff_shows_names_and_lines(tmp_path: Path) -> None:
    """A new file comes from /dev/null, an old one from its own name, a missing last line break is told."""
    made = [change(tmp_path, "a.yaml", "one\ntwo", "one\nmore\ntwo"), change(tmp_path, "b.yaml", None, "c\n")]
    assert unified_diff(made) == (
        "--- a/a.yaml\n+++ b/a.yaml\n@@ -1,2 +1,3 @@\n one\n+more\n two\n\\ No newline at end of file\n"
        "--- /dev/null\n+++ b/b.yaml\n@@ -0,0 +1 @@\n+c\n"
    )


def test_git_applies_the_diff(tmp_path: Path, changes: list[Change]) -> None:
    """Applied by git, the diff makes the same files as writing does."""
    text = unified_diff(changes)
    subprocess.run(["git", "init", "-q", "."], cwd=tmp_path, check=True)
    subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=text.encode(), check=True)
    made = {name: data for name, data in contents(tmp_path).items() if not name.startswith(".git")}
    assert {each.name: each.after for each in changes} == made


def test_all_is_written_with_the_modes_that_were(tmp_path: Path, changes: list[Change]) -> None:
    """Changed files keep their mode, new ones are readable, and nothing else is left behind."""
    (tmp_path / "a.yaml").chmod(0o600)
    write_changes(changes)
    assert {each.name: each.after for each in changes} == contents(tmp_path)
    assert [0o600, 0o644] == [(tmp_path / name).stat().st_mode & 0o777 for name in ("a.yaml", "new/c.yaml")]


def test_a_file_that_changed_meanwhile_is_not_overwritten(tmp_path: Path, changes: list[Change]) -> None:
    """When a file is no longer what it was, or a new one is there already, nothing at all is written."""
    (tmp_path / "two words.yaml").write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(UsageError, match=r"two words\.yaml: it changed meanwhile"):
        write_changes(changes)
    assert before == contents(tmp_path)
    assert not (tmp_path / "new").exists()


def test_where_one_cannot_be_written_none_is(tmp_path: Path, changes: list[Change]) -> None:
    """A failure at the last file puts back those before it and takes new ones away."""
    before = contents(tmp_path)
    failing = Change("d.yaml", tmp_path / ("x" * 300), None, b"")
    with pytest.raises(UsageError, match="cannot be written, nothing was changed"):
        write_changes([*changes, failing])
    assert before == contents(tmp_path)
    assert not (tmp_path / "new").exists()


def test_a_failure_while_files_are_put_in_place_is_undone(
    tmp_path: Path, changes: list[Change], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the third rename fails, the first two files are what they were again."""
    before, renames, really = contents(tmp_path), [], Path.replace

    def replace(self: Path, target: Path) -> Path:
        renames.append(target)
        if len(renames) == 3:
            raise PermissionError(13, "not today", str(target))
        return really(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(UsageError, match=r"new/c\.yaml: cannot be written, nothing was changed: not today"):
        write_changes(changes)
    assert before == contents(tmp_path)


def test_the_owner_stays(tmp_path: Path) -> None:
    """A file keeps its owner where the writer may give files away (root), and else is the writer's as before."""
    path = tmp_path / "a.yaml"
    path.write_text("a")
    owner = (1234, 4321) if os.geteuid() == 0 else (os.geteuid(), path.stat().st_gid)
    os.chown(path, *owner)
    write_changes([change(tmp_path, "a.yaml", "a", "b")])
    assert owner == (path.stat().st_uid, path.stat().st_gid)
