"""What the operator uses of the Kubernetes client library; everybody here imports it from this module.

`kubernetes.aio` lies in a package that imports a second client, for threads, with an HTTP and an OAuth library of its own:
7 MB that nobody here uses. They are left out, and come by themselves should anybody ask for them.
"""

from walrus_sui.imports import leave_unfilled

leave_unfilled("kubernetes")

from kubernetes.aio import config  # noqa: E402
from kubernetes.aio.client import ApiClient, Configuration  # noqa: E402
from kubernetes.aio.config import ConfigException, list_kube_config_contexts  # noqa: E402

__all__ = ["ApiClient", "ConfigException", "Configuration", "config", "list_kube_config_contexts"]
