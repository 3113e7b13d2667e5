"""flowmine: least-privilege CiliumNetworkPolicies from captured Hubble flows, with proof.

Names are imported on first use, so that ``import flowmine`` stays light.
"""

from importlib import import_module
from typing import Any

__all__ = ["PolicySet", "__version__", "open_flows"]

__version__ = "0.1.0"

_HOMES = {
    "PolicySet": "flowmine.engine.policyset",
    "open_flows": "flowmine.ingest",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'flowmine' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
