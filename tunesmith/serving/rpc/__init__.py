"""gRPC beside HTTP, on the same data plane, with the same keys, limits and figures; an extra."""

from __future__ import annotations

from tunesmith.serving.rpc._listener import RpcAddress, RpcListener, require_grpc

__all__ = ["RpcAddress", "RpcListener", "require_grpc"]
