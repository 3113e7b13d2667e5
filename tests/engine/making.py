"""Small manifests and queries for the engine's tests."""

from typing import Any

Manifest = dict[str, Any]


def pod(app: str, namespace: str = "shop", **more: Any) -> Manifest:
    """Return a pod as a query's end."""
    return {"labels": [f"k8s:app={app}", f"k8s:io.kubernetes.pod.namespace={namespace}"], **more}


def outside(ip: str, *names: str) -> Manifest:
    """Return an address outside the cluster as a query's end."""
    return {"labels": ["reserved:world"], "ip": ip, "names": list(names)}


def query(src: Manifest, dst: Manifest, port: int = 80, protocol: str = "TCP", **more: Any) -> Manifest:
    """Return a query."""
    return {"src": src, "dst": dst, "protocol": protocol, "port": port, **more}


def policy(name: str, app: str, namespace: str = "shop", **sections: Any) -> Manifest:
    """Return a CiliumNetworkPolicy for the pods of an app."""
    return {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"endpointSelector": {"matchLabels": {"app": app}}, **sections},
    }


def peer(app: str) -> Manifest:
    """Return a selector of an app's pods."""
    return {"matchLabels": {"app": app}}


def ports(*numbers: int | str, protocol: str = "TCP", **more: Any) -> list[Manifest]:
    """Return `toPorts` with one item."""
    return [{"ports": [{"port": str(number), "protocol": protocol} for number in numbers], **more}]
