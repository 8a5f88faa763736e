"""`python -m postmeter.simulator --port 8100 --data .postmeter/simulator`"""

import argparse
import logging
import sys
from pathlib import Path

import uvloop

from postmeter.simulator.app import create_app
from postmeter.simulator.log import FolderInUse
from postmeter.simulator.server import serve
from postmeter.simulator.settings import Settings


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="postmeter.simulator", description="A carrier, a payment gateway and a street of phones, with a clock."
    )
    parser.add_argument("--port", type=int, required=True, help="listens on 127.0.0.1 only")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="where its log is kept")
    parser.add_argument("--public-url", help="how browsers reach it (default: http://127.0.0.1:PORT)")
    parser.add_argument("--stripe-webhook-url", help="where the gateway posts its events")
    parser.add_argument("--paypal-webhook-url", help="where PayPal posts its events")
    parser.add_argument("--twilio-inbound-url", help="where the carrier posts what people write to us")
    parser.add_argument("--sinch-inbound-url", help="where the carrier of faxes posts those that people send us")
    parser.add_argument("--mail-port", type=int, help="takes mail by SMTP here, on 127.0.0.1")
    parser.add_argument("--mail-to", help="where it hands in what people answer: lmtp://127.0.0.1:PORT")
    parser.add_argument("--smpp-port", type=int, help="where the message centre listens, on 127.0.0.1 only (default: nowhere)")
    options = parser.parse_args()
    settings = Settings(
        folder=options.data,
        public_url=(options.public_url or f"http://127.0.0.1:{options.port}").rstrip("/"),
        stripe_webhook_url=options.stripe_webhook_url,
        paypal_webhook_url=options.paypal_webhook_url,
        twilio_inbound_url=options.twilio_inbound_url,
        sinch_inbound_url=options.sinch_inbound_url,
        mail_port=options.mail_port,
        mail_to=options.mail_to,
        smpp_port=options.smpp_port,
    )
    logging.basicConfig(level=logging.WARNING, format="simulator: %(message)s")
    try:
        app = create_app(settings)
    except FolderInUse as refusal:
        print(refusal, file=sys.stderr)
        return 1
    uvloop.run(serve(app, options.port))
    return 0


if __name__ == "__main__":
    sys.exit(main())
