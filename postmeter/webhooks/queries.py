"""Reads of webhooks."""

from postmeter.db.scope import scoped
from postmeter.kit.refusals import NotFound
from postmeter.webhooks.models import Delivery, Endpoint


@scoped
def endpoints(*, customer_id: int) -> list[Endpoint]:
    """The addresses that are told, in the order in which they were added."""
    return list(Endpoint.objects.filter(customer_id=customer_id, removed_at=None).order_by("id"))


@scoped
def endpoint(*, customer_id: int, endpoint_id: int) -> Endpoint:
    found = Endpoint.objects.filter(customer_id=customer_id, id=endpoint_id, removed_at=None).first()
    if found is None:
        raise NotFound("There is no such address.")
    return found


@scoped
def deliveries(*, customer_id: int, endpoint_id: int, at_most: int = 50) -> list[Delivery]:
    """The newest first."""
    return list(Delivery.objects.filter(customer_id=customer_id, endpoint_id=endpoint_id).order_by("-id")[:at_most])
