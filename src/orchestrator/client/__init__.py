"""The public Python client: send and check notifications, read an inbox, follow and verify an event log.

Bring your own `httpx.AsyncClient` for credentials, proxies or certificates; without one, the client makes
and closes its own:

    async with Client() as client:
        sent = await client.send(notification)
        async for received in client.read("https://pod.example/artefact"):
            ...
        async for event in client.follow("https://pod.example/log"):
            ...

Inboxes, members and pages are followed wherever their links lead, so let an `httpx.Auth` decide which
hosts see your credentials, and do not run this client on links of strangers inside a private network.
"""

from orchestrator.client.client import Client
from orchestrator.client.quads import Quads
from orchestrator.client.values import Checked, Kept, Received, Sent, Verified

__all__ = ["Checked", "Client", "Kept", "Quads", "Received", "Sent", "Verified"]
