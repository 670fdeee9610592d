"""A server that answers with given bodies, one after the other."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Answers:
    """What was ``asked`` (JSON bodies) and what is ``left`` to answer: a JSON body, or the status of a failure, alone or with its
    code.
    """

    url: str = ""
    left: list[object] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(await request.json())
        match self.left.pop(0) if self.left else 500:
            case int(status):
                return web.json_response({"error": {"message": "no"}}, status=status)
            case (int(status), str(code)):
                return web.json_response({"error": {"message": "no", "code": code}}, status=status)
            case body:
                return web.json_response(body)


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
