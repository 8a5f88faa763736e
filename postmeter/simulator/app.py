"""The simulator as one ASGI app.

The carrier and the gateway stand on bare ASGI, because their answers must break on demand; the rest is Litestar.
"""

import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from litestar import Litestar
from litestar.datastructures import State

from postmeter.simulator import wire
from postmeter.simulator.control import control
from postmeter.simulator.mail import Mailboxes
from postmeter.simulator.pages.pages import pages
from postmeter.simulator.paypal.door import PREFIX as PAYPAL
from postmeter.simulator.paypal.door import PayPalDoor
from postmeter.simulator.paypal.door import trouble as paypal_trouble
from postmeter.simulator.settings import Settings
from postmeter.simulator.sinch.door import PREFIX as SINCH
from postmeter.simulator.sinch.door import SinchDoor
from postmeter.simulator.sinch.door import trouble as sinch_trouble
from postmeter.simulator.smpp.centre import Centre
from postmeter.simulator.stripe.door import StripeDoor
from postmeter.simulator.stripe.errors import trouble as stripe_trouble
from postmeter.simulator.twilio.calls import Telephones
from postmeter.simulator.twilio.door import TwilioDoor, null_carrier
from postmeter.simulator.twilio.door import trouble as twilio_trouble
from postmeter.simulator.twilio.messages import Carrier
from postmeter.simulator.wire import Answer, Receive, Request, Scope, Send
from postmeter.simulator.world import World

logger = logging.getLogger(__name__)
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def create_app(settings: Settings) -> App:
    """Opens the log in `settings.folder`; raises FolderInUse. The agenda runs between the ASGI lifespan's start and end."""
    world = World(settings)
    carrier = Carrier(world)
    centre = carrier.centre = Centre(carrier)
    gateway = StripeDoor(world)
    paypal = PayPalDoor(world)
    telephones = Telephones(world)
    twilio = TwilioDoor(carrier, telephones)
    sinch = SinchDoor(world)
    mailboxes = Mailboxes(world, port=settings.mail_port, to=settings.mail_to)

    @contextlib.asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        async with world.running(), centre.serving():
            await mailboxes.open()
            yield
            await mailboxes.close()

    controls = control(world, carrier, telephones, sinch, gateway, paypal, mailboxes)
    rest = Litestar(
        route_handlers=[controls, *pages(world, carrier, telephones, sinch, gateway, paypal, mailboxes)],
        lifespan=[lifespan],
        state=State(),
        openapi_config=None,
        logging_config=None,
    )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if path.startswith("/null/"):
            await null_carrier(scope, receive, send)
        elif path.startswith(("/2010-04-01/", "/v1/Consents/")):
            await _serve(twilio, twilio_trouble, scope, receive, send)
        elif path.startswith(SINCH):
            await _serve(sinch, sinch_trouble, scope, receive, send)
        elif path.startswith((f"{PAYPAL}/v1/", f"{PAYPAL}/v2/", f"{PAYPAL}/v3/")):
            await _serve(paypal, paypal_trouble, scope, receive, send)
        elif path.startswith("/v1/"):
            await _serve(gateway, stripe_trouble, scope, receive, send)
        else:
            await rest(scope, receive, send)  # type: ignore[arg-type]

    return app


async def _serve(
    door: Callable[[Request], Awaitable[Answer]], trouble: Callable[[int], Answer], scope: Scope, receive: Receive, send: Send
) -> None:
    request = await wire.read(scope, receive)
    try:
        answer = await door(request)
    except Exception:
        logger.exception("%s %s", request.method, request.path)
        answer = trouble(500)
    await wire.write(answer, receive, send)
