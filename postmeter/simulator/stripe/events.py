"""What happened at the gateway, as signed events to every webhook that asked for them, and as a list to read again."""

import json
from dataclasses import dataclass

from postmeter.simulator.callbacks import Callback
from postmeter.simulator.stripe import shapes
from postmeter.simulator.stripe.store import Store, Thing
from postmeter.simulator.world import World


@dataclass(frozen=True, slots=True)
class Cause:
    """The API request that made something happen, or nothing where the gateway did it by itself."""

    request_id: str | None = None
    idempotency_key: str | None = None
    api_version: str | None = None


class Events:
    def __init__(self, world: World, store: Store) -> None:
        self._world = world
        self._store = store
        self.cause = Cause()

    def emit(self, kind: str, thing: Thing, *, card: str = "") -> Thing:
        """Keeps the event and schedules its delivery; in the transaction of what it tells."""
        targets = self._targets(kind)
        event = shapes.event(
            self._store.new_id("event"),
            self._store.now(),
            kind,
            thing,
            api_version=self.cause.api_version,
            pending_webhooks=len(targets),
            request={"id": self.cause.request_id, "idempotency_key": self.cause.idempotency_key},
        )
        self._store.keep(event)
        due = self._world.soon("event_delay")
        for url, secret in targets:
            callback = Callback(
                service="stripe",
                url=url,
                body=json.dumps(event, indent=2),
                secret=secret,
                subject=event["id"],
                event=kind,
                facts={"card": card, "object": thing["id"]},
            )
            self._world.postman.schedule(callback, due=due)
        return event

    def _targets(self, kind: str) -> list[tuple[str, str]]:
        own, secret = self._world.settings.stripe_webhook_url, self._world.settings.credentials.stripe_webhook_secret
        return ([(own, secret)] if own else []) + [
            (endpoint["url"], self._store.inner(endpoint["id"])["secret"])
            for endpoint in self._store.all("webhook_endpoint")
            if endpoint["status"] == "enabled" and {"*", kind} & set(endpoint["enabled_events"])
        ]
