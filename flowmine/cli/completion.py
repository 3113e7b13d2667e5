"""`flowmine completion`: what a shell needs to complete commands, options and their values, files where those are meant."""

import re
from typing import Any

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
)

__all__ = ["FilesToo", "completion", "register"]

_VARIABLE = "_FLOWMINE_COMPLETE"

_FILES = re.compile(r"INPUT|FILE|PATH|DIR|POLICY|SOURCE")
"""What the metavar of an option or argument says where files are meant."""


class FilesToo(ShellComplete):
    """Completes files where an option or argument is a text to click, and its metavar says that a file is meant."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """Return what may stand where the cursor is; an item of the type ``file`` leaves it to the shell."""
        found = super().get_completions(args, incomplete)
        if found or incomplete.startswith("-"):
            return found
        meant = self._meant(args, incomplete)
        if isinstance(meant, click.Parameter) and _FILES.search(meant.metavar or meant.name or ""):
            return [CompletionItem(incomplete, type="file")]
        return found

    def _meant(self, args: list[str], incomplete: str) -> Any:
        from click.shell_completion import _resolve_context, _resolve_incomplete

        context = _resolve_context(self.cli, self.ctx_args, self.prog_name, args)
        return _resolve_incomplete(context, args, incomplete)[0]


class _Bash(FilesToo, BashComplete):
    """Completion in bash."""


class _Zsh(FilesToo, ZshComplete):
    """Completion in zsh."""


class _Fish(FilesToo, FishComplete):
    """Completion in fish."""


_SHELLS: dict[str, type[ShellComplete]] = {"bash": _Bash, "zsh": _Zsh, "fish": _Fish}


def register() -> None:
    """Let click complete with the classes of this module."""
    for name, kind in _SHELLS.items():
        add_completion_class(kind, name)


@click.command()
@click.argument("shell", type=click.Choice(list(_SHELLS)))
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash:  source <(flowmine completion bash)        # in ~/.bashrc
    zsh:   source <(flowmine completion zsh)         # in ~/.zshrc, after compinit
    fish:  flowmine completion fish > ~/.config/fish/completions/flowmine.fish

    `kubectl flowmine` is completed by kubectl itself (from 1.26 on), through kubectl_complete-flowmine on the PATH.
    """
    made = _SHELLS[shell](click.Group(), {}, "flowmine", _VARIABLE)
    click.echo(made.source_template % made.source_vars())
