"""Objects as an API server lists them: items without kind, with the metadata and status that servers add."""

from typing import Any

__all__ = ["LISTS"]


def _metadata(name: str, namespace: str | None = None, **labels: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": name,
        "uid": f"00000000-0000-0000-0000-{abs(hash(name)) % 10**12:012d}",
        "resourceVersion": "42",
        "generation": 1,
        "creationTimestamp": "2026-11-18T12:00:00Z",
        "managedFields": [{"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {}}}],
    }
    if namespace:
        found["namespace"] = namespace
    return found | ({"labels": labels} if labels else {})


def _closed(name: str) -> dict[str, Any]:
    return {
        "metadata": _metadata(name, "shop"),
        "spec": {
            "endpointSelector": {"matchLabels": {"app": name}},
            "ingress": [{"fromEndpoints": [{"matchLabels": {"app": "web"}}]}],
        },
        "status": {"conditions": [{"type": "Valid", "status": "True"}]},
    }


_LABELS = {
    "k8s:app": "web",
    "k8s:io.kubernetes.pod.namespace": "shop",
    "k8s:io.cilium.k8s.policy.cluster": "east",
}

LISTS: dict[str, list[dict[str, Any]]] = {
    "/apis/cilium.io/v2/ciliumnetworkpolicies": [
        _closed(name) for name in ("api", "cart", "db", "mail", "pay")
    ],
    "/apis/cilium.io/v2/ciliumclusterwidenetworkpolicies": [
        {
            "metadata": _metadata("no-metadata-service"),
            "spec": {
                "endpointSelector": {},
                "egressDeny": [{"toCIDRSet": [{"cidrGroupRef": "metadata"}]}],
                "enableDefaultDeny": {"egress": False},
            },
        }
    ],
    "/apis/cilium.io/v2/ciliumcidrgroups": [
        {"metadata": _metadata("metadata"), "spec": {"externalCIDRs": ["169.254.169.254/32"]}}
    ],
    "/apis/networking.k8s.io/v1/networkpolicies": [
        {
            "metadata": _metadata("isolated", "lab"),
            "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
        }
    ],
    "/api/v1/namespaces": [
        {"metadata": _metadata("lab"), "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}},
        {"metadata": _metadata("shop", team="sales"), "status": {"phase": "Active"}},
    ],
    "/apis/cilium.io/v2/ciliumidentities": [
        {"metadata": _metadata("21234", **{"app": "web"}), "security-labels": _LABELS},
        {"metadata": _metadata("21235"), "security-labels": {**_LABELS, "k8s:app": "api", "k8s:canary": ""}},
    ],
    "/apis/cilium.io/v2/ciliumendpoints": [
        {
            "metadata": _metadata("web-7d9f8b6c5d-x2x4z", "shop"),
            "status": {
                "id": 77,
                "identity": {"id": 21234, "labels": [f"{key}={value}" for key, value in _LABELS.items()]},
                "named-ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
                "networking": {
                    "addressing": [{"ipv4": "10.0.1.7", "ipv6": "fd00::17"}],
                    "node": "192.168.0.2",
                },
                "state": "ready",
            },
        },
        {"metadata": _metadata("api-starting", "shop"), "status": {}},
    ],
}
