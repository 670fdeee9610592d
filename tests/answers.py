"""A server that answers with given bodies, one after the other."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Answers:
    """What was ``asked`` (JSON bodies) and what is ``left`` to answer: a JSON body, or the status of a failure."""

    url: str = ""
    left: list[object] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(await request.json())
        body = self.left.pop(0) if self.left else 500
        return web.json_response({"error": {"message": "no"}}, status=body) if isinstance(body, int) else web.json_response(body)


@asynccontextmanager
async def answering(*bodies: object) -> AsyncIterator[Answers]:
    """A server whose every path answers ``bodies`` in turn, then 500."""
    answers = Answers(left=list(bodies))
    app = web.Application()
    app.router.add_post("/{path:.*}", answers.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        answers.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield answers
    finally:
        await runner.cleanup()
