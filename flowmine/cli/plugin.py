"""`kubectl flowmine`: the command line as a plugin of kubectl, with what a kubectl user expects of a plugin.

Without INPUT and server the cluster of kubectl's own context is read (as with ``-P``). ``--context`` and ``--kubeconfig``
choose another for all that a command asks of a cluster: the port that is forwarded, and ``--from-cluster``.
"""

import os
import sys
from collections.abc import MutableMapping, Sequence

import click

from flowmine.arrow import for_commands
from flowmine.cli import main as flowmine

__all__ = ["complete", "kubectl_args", "main"]

_NAME = "kubectl flowmine"
_CHOOSING = {"--context": "HUBBLE_KUBE_CONTEXT", "--kubeconfig": "HUBBLE_KUBECONFIG"}
_FILES_TOO, _NO_FILES = 0, 4
"""Directives of cobra (``ShellCompDirectiveDefault``, ``ShellCompDirectiveNoFileComp``), which kubectl passes on."""


def main() -> None:
    """Run the command line as ``kubectl flowmine``."""
    for_commands()
    flowmine(args=kubectl_args(sys.argv[1:], os.environ), prog_name=_NAME)


def kubectl_args(args: Sequence[str], environment: MutableMapping[str, str]) -> list[str]:
    """Return the arguments as flowmine's commands take them; say in ``environment`` which cluster is to be read.

    ``--context`` and ``--kubeconfig`` become the variables by which `hubble` is told the same, and stay where a command is
    asked for ``--from-cluster``. What stands behind ``--`` is not looked at.

    >>> environment = {}
    >>> kubectl_args(["drops", "--context", "prod"], environment), sorted(environment)
    (['drops'], ['HUBBLE_KUBE_CONTEXT', 'HUBBLE_PORT_FORWARD'])
    """
    options = list(args[: args.index("--")]) if "--" in args else list(args)
    behind = list(args[len(options) :])
    asks = "--from-cluster" in options
    kept: list[str] = []
    while options:
        option, has_value, value = options.pop(0).partition("=")
        if option not in _CHOOSING or not (has_value or options):
            kept.append(f"{option}{has_value}{value}")
            continue
        value = value if has_value else options.pop(0)
        environment[_CHOOSING[option]] = value
        if asks:
            kept += [option, value]
    if not any(option.partition("=")[0] == "--server" for option in kept):
        environment.setdefault("HUBBLE_PORT_FORWARD", "false" if "HUBBLE_SERVER" in environment else "true")
    return [*kept, *behind]


def complete() -> None:
    """Answer kubectl, which calls ``kubectl_complete-flowmine`` with the words so far, the last one unfinished."""
    from flowmine.cli.completion import FilesToo

    *words, unfinished = sys.argv[1:] or [""]
    found = FilesToo(flowmine, {}, _NAME, "").get_completions(words, unfinished)
    plain = [item for item in found if item.type == "plain"]
    for item in plain:
        click.echo(f"{item.value}\t{item.help}" if item.help else item.value)
    click.echo(f":{_NO_FILES if len(plain) == len(found) else _FILES_TOO}")
