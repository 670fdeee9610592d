"""Routes whose code is loaded at the first request for one of them: the program's start is not theirs to take."""

import asyncio
from collections.abc import Callable, Iterable, Iterator

from aiohttp import web
from aiohttp.web_urldispatcher import PrefixResource
from yarl import URL

Load = Callable[[], Iterable[web.RouteDef]]
"""Loads the code and returns its routes, with whole paths. Runs in a thread."""


class LateRoutes(PrefixResource):
    """Everything below ``prefix``."""

    def __init__(self, prefix: str, load: Load) -> None:
        super().__init__(prefix)
        self._load = load
        self._loading = asyncio.Lock()
        self._router: web.UrlDispatcher | None = None

    async def resolve(self, request: web.Request) -> tuple[web.UrlMappingMatchInfo, set[str]]:
        """Which of the late routes a request is for."""
        async with self._loading:
            if self._router is None:
                routes = await asyncio.to_thread(self._load)
                self._router = web.UrlDispatcher()
                self._router.add_routes(routes)
        return await self._router.resolve(request), set()

    def url_for(self, **_: str) -> URL:
        """There is none: a request finds its route, and nobody asks for the address of one."""
        raise NotImplementedError

    def get_info(self) -> dict[str, str]:  # type: ignore[override]  # its shape is aiohttp's own
        """For those who list routes."""
        return {"prefix": self.canonical}

    def __len__(self) -> int:
        return len(self._router.routes()) if self._router else 0

    def __iter__(self) -> Iterator[web.AbstractRoute]:
        return iter(self._router.routes() if self._router else ())
