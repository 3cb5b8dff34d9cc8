"""Whether the server in this container is alive: exit code 0 if so. Standard library only.

TUNESMITH_HEALTH_URL    what to ask; default: https://127.0.0.1:8443/healthz
"""

from __future__ import annotations

import os
import ssl
import sys
import urllib.request

URL = "https://127.0.0.1:8443/healthz"
TIMEOUT_S = 2.0


def main() -> int:
    """Asks once."""
    url = os.environ.get("TUNESMITH_HEALTH_URL", URL)
    # The certificate names the server as clients know it, and this never leaves the container.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # A proxy that the environment names is for the way out.
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    try:
        with opener.open(url, timeout=TIMEOUT_S):
            return 0
    except (OSError, ValueError) as error:
        print(f"{url}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
