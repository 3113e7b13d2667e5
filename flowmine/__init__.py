"""flowmine: least-privilege CiliumNetworkPolicies from captured Hubble flows, with proof.

Names are imported on first use, so that ``import flowmine`` stays light.
"""

from importlib import import_module
from typing import Any

__all__ = [
    "Flows",
    "PolicySet",
    "Tail",
    "__version__",
    "assert_allowed",
    "assert_denied",
    "open_flows",
    "read",
    "tail",
]

__version__ = "0.1.0"

_HOMES = {
    "Flows": "flowmine.notebook.flows",
    "PolicySet": "flowmine.notebook.policies",
    "Tail": "flowmine.notebook.tailing",
    "assert_allowed": "flowmine.notebook.tracing",
    "assert_denied": "flowmine.notebook.tracing",
    "open_flows": "flowmine.ingest",
    "read": "flowmine.notebook.opening",
    "tail": "flowmine.notebook.tailing",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'flowmine' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
