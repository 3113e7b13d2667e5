"""Nothing that is read can become code: flowmine calls nothing that runs text, starts a shell, or builds objects from bytes."""

import ast
from collections.abc import Iterator

import pytest

from tests.test_layers import sources

MODULES = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "code", "runpy", "pty"}  # fmt: skip
"""What builds objects from bytes, or runs what it is given."""

CALLS = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"),
    *("yaml.load_all", "yaml.unsafe_load", "yaml.unsafe_load_all", "yaml.full_load", "yaml.full_load_all"),
    *("asyncio.create_subprocess_shell", "pandas.read_pickle", "pd.read_pickle"),
}  # fmt: skip

ALLOWED = {
    ("flowmine.scale.readers", "multiprocessing"): "pickles between this process and the readers it starts, over a pipe that only they inherit",
    ("flowmine.scale.processes", "multiprocessing"): "this end of that pipe",
    ("flowmine.scale.worker", "multiprocessing"): "the other end of that pipe",
}  # fmt: skip
"""Module, what it uses -> why nobody else can give it bytes."""


def complaints(text: str) -> Iterator[str]:
    """Yield what in a module's text could run what was read."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            named = (
                [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            )
            yield from sorted({name.split(".")[0] for name in named} & {*MODULES, "multiprocessing"})
            if isinstance(node, ast.ImportFrom):
                yield from sorted({f"{node.module}.{alias.name}" for alias in node.names} & CALLS)
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in CALLS or called.startswith(("os.exec", "os.spawn")):
                yield called
            for keyword in node.keywords:
                if keyword.arg == "shell" and not (
                    isinstance(keyword.value, ast.Constant) and not keyword.value.value
                ):
                    yield f"{called}(shell=…)"
                if keyword.arg == "allow_pickle":
                    yield f"{called}(allow_pickle=…)"
            yield from _loaders(called, node)


def _loaders(called: str, node: ast.Call) -> Iterator[str]:
    """YAML is read by the loader that knows no types of Python's: `yaml.safe_load`, or one named as below."""
    if called in (
        "yaml.load",
        "yaml.parse",
        "yaml.scan",
        "yaml.compose",
        "yaml.compose_all",
        "yaml.add_constructor",
    ):
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if called == "yaml.load" or given.get("Loader") != "_LOADER":
            yield called
    elif (
        called == "getattr"
        and ast.unparse(node.args[0]) == "yaml"
        and ast.unparse(node.args[1]) != "'CSafeLoader'"
    ):
        yield ast.unparse(node)


def test_nothing_that_is_read_can_become_code() -> None:
    """No module runs text, starts a shell or builds objects from bytes, but those that are named with their reasons."""
    found = {(module, what) for module, text in sources() for what in complaints(text)}
    assert set(ALLOWED) == found


@pytest.mark.parametrize(
    "text",
    [
        *("eval(x)", "exec(x)", "import pickle", "from pickle import loads", "import marshal as m", "import os\nos.system(x)"),
        *("subprocess.run(x, shell=True)", "subprocess.run(x, shell=y)", "yaml.load(x)", "yaml.load(x, Loader=yaml.Loader)"),
        *("yaml.compose_all(x, Loader=yaml.FullLoader)", "getattr(yaml, 'CLoader', None)", "from os import system"),
        *("np.load(x, allow_pickle=True)", "os.execv(x, y)"),
    ],
)  # fmt: skip
def test_each_way_to_run_what_was_read_is_told(text: str) -> None:
    """The test above would tell."""
    assert list(complaints(text))


@pytest.mark.parametrize(
    "text", ["re.compile(x)", "yaml.safe_load(x)", "subprocess.run(x, shell=False)", "ast.literal_eval(x)"]
)
def test_what_is_harmless_is_not_told(text: str) -> None:
    """Functions of like names are none of these."""
    assert [] == list(complaints(text))
