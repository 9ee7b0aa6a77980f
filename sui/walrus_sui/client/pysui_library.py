"""What the chain client uses of pysui; everybody here imports it from this module.

pysui imports httpx, and httpx its command line, where there are colours and tables to be had: 4 MB that no service uses.
"""

from walrus_sui.imports import without

with without("httpx._main"):
    from pysui import GroupProtocol, GrpcProtocolClient, NetworkType, PysuiConfiguration
from pysui.sui.sui_common.config.confgroup import Profile, ProfileGroup
from pysui.sui.sui_common.config.confmodel import PysuiConfigModel
from pysui.sui.sui_grpc import pgrpc_requests as requests

__all__ = [
    "GroupProtocol",
    "GrpcProtocolClient",
    "NetworkType",
    "Profile",
    "ProfileGroup",
    "PysuiConfigModel",
    "PysuiConfiguration",
    "requests",
]
