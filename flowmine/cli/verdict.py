"""`flowmine verdict`: judge connections by a set of policies, as Cilium would."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import click

from flowmine.cli.asking import Asked, question_options
from flowmine.cli.exitcodes import FailOn, fails_on
from flowmine.errors import InputError, UsageError

__all__ = ["command", "verdict"]


@click.command(short_help="Judge traffic by a set of policies.")
@question_options
@click.option(
    "--queries",
    metavar="FILE",
    help="Judge many: JSON Lines of queries (- for stdin), see flowmine's documentation.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to print verdicts; json is one object a line.",
)
@fails_on("verdict")
def verdict(asked: Asked, queries: str | None, output: str, failing: FailOn) -> int:
    """Judge connections by a set of policies, exactly as Cilium 1.19 would.

    Ask about one connection with --from, --to and --port, or about many with --queries: a line each of
    {"src": {"labels": [...], "ip"?, "names"?, "named_ports"?}, "dst": ..., "protocol", "port", "http"?, "dns"?}.

    Labels without a source are k8s:, a pod without a namespace is in "default". Exit 0: all is allowed, 1: something is
    denied, 2: a file cannot be read or an option is wrong.
    """
    if queries and asked.given:
        raise UsageError("--queries and a question (--from, --to, --port ...) cannot be given together")
    items = list(_read(queries)) if queries else [asked.query()]
    answers = asked.load().verdicts(items)
    for line in _as_json(answers) if output == "json" else _as_text(answers, numbered=queries is not None):
        click.echo(line)
    passes = [_passes(answer) for answer in answers]
    return failing.code({"denied": not all(passes), "allowed": any(passes)})


command = verdict


def _read(path: str) -> Iterator[dict[str, Any]]:
    """Yield the queries of a file of JSON Lines. Raise InputError, naming the line, where one is none."""
    try:
        with click.open_file(path, encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _query(line, f"{path}:{number}")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}; check the path") from error


def _query(line: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not a JSON object ({error}); write one query a line") from error
    if not isinstance(value, dict):
        raise InputError(f"{where}: a query is a JSON object with src, dst, protocol and port")
    return value


def _passes(answer: dict[str, Any]) -> bool:
    asked = (answer.get(name, True) for name in ("http_allowed", "dns_allowed"))
    return answer["verdict"] == "allowed" and all(asked)


def _as_json(answers: Iterable[dict[str, Any]]) -> Iterator[str]:
    return (json.dumps(answer, ensure_ascii=False) for answer in answers)


def _as_text(answers: Iterable[dict[str, Any]], numbered: bool) -> Iterator[str]:
    for number, answer in enumerate(answers, 1):
        yield f"{number}: {_summary(answer)}" if numbered else _summary(answer)
        for side in ("egress", "ingress"):
            yield f"  {side}: {_side(answer, side)}"


def _summary(answer: dict[str, Any]) -> str:
    parts = [answer["verdict"]]
    for name, what in (("http_allowed", "HTTP request"), ("dns_allowed", "DNS query")):
        if name in answer:
            parts.append(f"{what} {'allowed' if answer[name] else 'denied'}")
    return ", ".join(parts)


def _side(answer: dict[str, Any], side: str) -> str:
    told: str = answer[side]
    if f"{side}_by" in answer:
        told += f" by {', '.join(answer[f'{side}_by'])}"
    if f"{side}_parser" in answer:
        told += f", through the {answer[f'{side}_parser']} proxy"
    if f"{side}_auth" in answer:
        told += f", with authentication {answer[f'{side}_auth']}"
    return f"{told}: {answer['error']}" if told == "error" else told
