"""Faults a fake provider commits on demand: armed for the next so many requests, or by chance from a seeded source."""

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from aiohttp import web
from pydantic import Field

from wtai.simulator.orders import Order, read, refused

Kind = TypeVar("Kind", bound=StrEnum)


@dataclass(slots=True)
class Armed(Generic[Kind]):
    """One fault in waiting. ``left`` is None when it never runs out."""

    kind: Kind
    left: int | None
    probability: float
    retry_after: str | None
    seconds: float
    to: str | None


class FaultOrder(Order):
    """The JSON body of ``POST /faults``."""

    kind: str
    times: int | None = Field(default=1, ge=1)
    probability: float = Field(default=1.0, gt=0, le=1)
    retry_after: str | None = None
    seconds: float = Field(default=60.0, gt=0)
    to: str | None = None


class Faults(Generic[Kind]):
    """The faults armed on one fake. The same seed and the same requests give the same faults."""

    def __init__(self, kinds: type[Kind], *, seed: int = 0) -> None:
        self._kinds = kinds
        self._armed: list[Armed[Kind]] = []
        self._random = random.Random(seed)  # noqa: S311 - reproducible faults, not secrets

    def arm(
        self,
        kind: Kind,
        *,
        times: int | None = 1,
        probability: float = 1.0,
        retry_after: str | None = None,
        seconds: float = 60.0,
        to: str | None = None,
    ) -> None:
        """Commit ``kind`` on the next ``times`` requests (None: on all), each with ``probability``.

        ``retry_after`` is sent as it is in a 429; ``seconds`` is how long a held request waits; ``to`` limits the
        fault to what goes to that address.
        """
        self._armed.append(Armed(kind, times, probability, retry_after, seconds, to))

    def order(self, order: FaultOrder) -> None:
        """Arm what ``POST /faults`` asks for. Raises ValueError, naming the known kinds."""
        known = {str(kind): kind for kind in self._kinds}
        if order.kind not in known:
            raise ValueError(f"unknown fault {order.kind!r}: one of {', '.join(known)}")
        self.arm(
            known[order.kind],
            times=order.times,
            probability=order.probability,
            retry_after=order.retry_after,
            seconds=order.seconds,
            to=order.to,
        )

    def take(self, *kinds: Kind, to: str | None = None) -> Armed[Kind] | None:
        """The first armed fault among ``kinds`` that befalls this request, used up by one; None when all goes well."""
        for armed in self._armed:
            if armed.kind in kinds and armed.to in (None, to) and self._random.random() < armed.probability:
                if armed.left is not None:
                    armed.left -= 1
                    if armed.left == 0:
                        self._armed.remove(armed)
                return armed
        return None

    def clear(self) -> None:
        """Disarm everything."""
        self._armed.clear()


def fault_routes(faults: Faults[Kind]) -> list[web.RouteDef]:
    """``POST /faults`` arms one, ``DELETE /faults`` disarms all."""

    async def arm(request: web.Request) -> web.Response:
        try:
            faults.order(await read(request, FaultOrder))
        except ValueError as exc:
            raise refused(str(exc)) from exc
        return web.Response(status=204)

    async def disarm(_: web.Request) -> web.Response:
        faults.clear()
        return web.Response(status=204)

    return [web.post("/faults", arm), web.delete("/faults", disarm)]
