"""A corrupt capture: what no policy can name leaves out its own workload, and costs no other one its policy."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from flowmine.cli import main
from tests.cli.events import capture, record

SHOP = "k8s:io.kubernetes.pod.namespace=shop"
BAD = {
    "a value with a space": "k8s:app=no such",
    "a value too long": f"k8s:app={'x' * 64}",
    "a value that begins with a dash": "k8s:app=-x",
    "a value of controls": "k8s:app=\x1b[31m",
    "a value that is markup": "k8s:app=<b>|`",
    "a key with a space": "k8s:no such=x",
    "a key of two slashes": "k8s:a/b/c=x",
    "a key too long": f"k8s:{'x' * 64}=x",
    "a key of another script": "k8s:приложение=x",
}
NAMESPACES = {
    "a space": "no such",
    "a capital": "Shop",
    "too long": "x" * 64,
    "a path": "../../etc",
    "markup": "<b>",
}


def end(name: str, number: int, namespace: str, *labels: str) -> dict[str, Any]:
    """A pod as one end of a flow."""
    return {
        "ID": number,
        "identity": 25000 + number,
        "namespace": namespace,
        "labels": [*labels, f"k8s:io.kubernetes.pod.namespace={namespace}"],
        "pod_name": f"{name}-7d9c8b6f5d-x2x7k",
        "workloads": [{"name": name, "kind": "Deployment"}],
    }


WEB, API, DB = (
    end(name, number, "shop", f"k8s:app={name}") for number, name in enumerate(("web", "api", "db"), 1)
)


def flows(*pairs: tuple[dict[str, Any], dict[str, Any]]) -> list[dict[str, Any]]:
    """Connections of the first to the second of each pair, seen at both."""
    made = []
    for second, (source, target) in enumerate(pairs):
        ips = {
            "source": f"10.0.0.{source['ID']}",
            "destination": f"10.0.0.{target['ID']}",
            "ipVersion": "IPv4",
        }
        made.append(record(second, source=source, destination=target, IP=ips))
    return made


def recommend(
    folder: Path, *pairs: tuple[dict[str, Any], dict[str, Any]], options: tuple[str, ...] = ()
) -> Result:
    """Recommend for connections, as `recommend` on the command line does."""
    result = CliRunner().invoke(
        main, ["recommend", capture(folder / "flows.jsonl", *flows(*pairs)), *options]
    )
    assert isinstance(result.exception, SystemExit | None), result.exception
    return result


def policies(result: Result) -> dict[str, Any]:
    """What was written, by name."""
    return {
        each["metadata"]["name"]: each.get("specs") or each["spec"]
        for each in yaml.safe_load_all(result.stdout)
        if each
    }


def words(value: Any) -> Iterator[str]:
    """Every text of a document, keys and values."""
    if isinstance(value, dict):
        for key, inside in value.items():
            yield from (key, *words(inside))
    elif isinstance(value, list):
        for inside in value:
            yield from words(inside)
    else:
        yield str(value)


@pytest.mark.parametrize("per", ["workload", "namespace", "flow"])
@pytest.mark.parametrize("name", BAD)
def test_a_label_that_no_policy_can_name_stops_nothing(tmp_path: Path, name: str, per: str) -> None:
    """Beside a workload with such a label the others get their policies, which name it by what else there is."""
    odd = end("odd", 4, "shop", BAD[name], "k8s:role=odd")
    result = recommend(tmp_path, (WEB, API), (odd, API), (odd, DB), options=("--per", per))
    assert result.exit_code == 0, result.output
    assert "role: odd" in result.stdout
    key, _, value = BAD[name].removeprefix("k8s:").partition("=")
    assert not {key, f"k8s:{key}", value} - {"app", "k8s:app", "x"} & set(words(policies(result)))


@pytest.mark.parametrize("name", BAD)
def test_where_nothing_else_tells_it_apart_nobody_is_cut_off(tmp_path: Path, name: str) -> None:
    """A workload of which no label can be named gets a selector that takes others too, and is told; no policy is refused."""
    odd = end("odd", 4, "shop", BAD[name])
    result = recommend(tmp_path, (WEB, API), (odd, API), (API, odd))
    assert result.exit_code == 0, result.output
    assert {"web", "api"} <= set(policies(result))


@pytest.mark.parametrize("name", NAMESPACES)
def test_a_namespace_that_is_none_leaves_its_workloads_out(tmp_path: Path, name: str) -> None:
    """No policy is written for it, no rule names it, both are told, and the run can be made to fail for it."""
    odd = end("odd", 4, NAMESPACES[name], "k8s:app=odd")
    line = ((WEB, API), (odd, API), (odd, DB))
    result = recommend(tmp_path, *line)
    assert result.exit_code == 0, result.output
    made = policies(result)
    assert {"web", "api", "db"} == set(made)
    assert ["egress", "endpointSelector"] == sorted(made["db"])
    assert "1 left out: " in result.stderr
    assert "is no name of a namespace, so no policy can be for it" in result.stderr
    assert (
        "odd to shop/api on 8080/TCP: the peer's namespace is no name that Kubernetes knows" in result.stderr
    )
    assert (
        "half seen, only egress is closed: shop/db: no rule can name what was delivered at its ingress side"
        in result.stderr
    )
    assert NAMESPACES[name] not in result.stdout
    assert recommend(tmp_path, *line, options=("--fail-on", "left-out")).exit_code == 1
