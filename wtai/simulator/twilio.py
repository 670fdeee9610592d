"""A stand-in for Twilio over real HTTP: its REST API, its signed webhooks and status callbacks, and the ways it fails.

One instance serves any number of accounts; all it knows is in memory. ``accepted`` is the ledger of every message it took,
so what a customer would have received twice stands there twice.

    async with FakeTwilio(SystemClock(), webhook_url="http://127.0.0.1:8080") as twilio:
        twilio.add_account(sid, token, numbers=("whatsapp:+551130000000",))
        await twilio.send("whatsapp:+5511987654321", "whatsapp:+551130000000", "oi")

Alone: ``python -m wtai.simulator.twilio --account AC…:token``; :mod:`wtai.simulator.twilio_control` describes its JSON.
"""

import argparse
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from aiohttp import web

from wtai.clock import Clock, SystemClock
from wtai.simulator import server
from wtai.simulator.twilio_carrier import Carrier
from wtai.simulator.twilio_control import Control
from wtai.simulator.twilio_rest import TwilioRest


class FakeTwilio(Carrier):
    """A :class:`Carrier` with its REST API on a port of its own."""

    def __init__(
        self, clock: Clock, webhook_url: str = "http://127.0.0.1:8080", public_url: str | None = None, *, seed: int = 0
    ) -> None:
        super().__init__(clock, webhook_url, public_url, seed=seed)
        self._listener = server.Listener()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Serve; returns the URL, for the application's ``twilio.base_url`` and messaging host. Raises OSError: port taken."""
        await self.open()
        self.url = await self._listener.start(self.app(), host, port)
        return self.url

    async def close(self) -> None:
        """Stop; callbacks still under way are dropped."""
        await self._listener.close()
        await super().close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    def app(self) -> web.Application:
        """The REST API and the JSON by which another process drives the fake."""
        app = web.Application(client_max_size=server.MAX_BODY_BYTES)
        app.add_routes([*TwilioRest(self, self._listener).routes(), *Control(self).routes()])
        return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve a fake Twilio in a process of its own."""
    parser = argparse.ArgumentParser(prog="python -m wtai.simulator.twilio", description="A fake Twilio over HTTP.")
    server.listen_options(parser)
    parser.add_argument(
        "--webhook-url", default="http://127.0.0.1:8080", help="where the application listens (default: %(default)s)"
    )
    parser.add_argument("--public-url", help="what the application believes its address is; signed (default: --webhook-url)")
    parser.add_argument("--account", action="append", default=[], metavar="AC…:TOKEN[:NUMBER]", help="may be repeated")
    parser.add_argument("--seed", type=int, default=0, help="of the faults that come by chance (default: %(default)s)")
    options = parser.parse_args(arguments)

    def build() -> FakeTwilio:
        twilio = FakeTwilio(SystemClock(), options.webhook_url, options.public_url, seed=options.seed)
        for account in options.account:
            sid, token, *number = account.split(":", 2)
            twilio.add_account(sid, token, numbers=number)
        return twilio

    server.serve(build, options.host, options.port)


if __name__ == "__main__":
    main()
