"""mitmproxy is imported here once, out of the reach of `error` for warnings: its own imports use what its libraries deprecate."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mitmproxy.addons
    import mitmproxy.master  # noqa: F401  # imported for the warnings it gives
