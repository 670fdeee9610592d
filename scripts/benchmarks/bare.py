"""The ceiling of an acknowledgement: an aiohttp handler that parses the form and checks its signature, and does nothing else.

Run as ``python -m benchmarks.bare PORT [--sync FILE]``; with ``--sync`` it also appends the form
to a file and waits until that is on disk.
"""

import argparse
import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import uvloop
from aiohttp import web
from twilio.request_validator import RequestValidator

from benchmarks.webhooks import PATH, PUBLIC_URL, TOKEN


def main() -> None:
    """Serve until terminated, on the event loop that the program runs on."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--sync", type=Path)
    options = parser.parse_args()
    app = web.Application()
    app.add_routes([web.post(PATH, _handler(options.sync)), web.get("/health", _alive)])
    web.run_app(app, host="127.0.0.1", port=options.port, access_log=None, print=None, loop=uvloop.new_event_loop())


def _handler(log: Path | None) -> Callable[[web.Request], Awaitable[web.Response]]:
    validator = RequestValidator(TOKEN)  # type: ignore[no-untyped-call]  # published untyped
    keep = _nothing if log is None else partial(_append, os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))

    async def acknowledge(request: web.Request) -> web.Response:
        form = await request.post()
        signature = request.headers["X-Twilio-Signature"]
        if not validator.validate(PUBLIC_URL + request.path, form, signature):  # type: ignore[no-untyped-call]
            return web.Response(status=403)
        keep(await request.read())
        return web.Response(text="<Response/>", content_type="text/xml")

    return acknowledge


def _nothing(_content: bytes) -> None:
    return


def _append(descriptor: int, content: bytes) -> None:
    os.write(descriptor, content)
    os.fdatasync(descriptor)


async def _alive(_request: web.Request) -> web.Response:
    return web.Response()


if __name__ == "__main__":
    main()
