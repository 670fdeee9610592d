"""JSON bodies by which another process tells a fake what to do; one that does not fit is answered 400 with the reason."""

from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError


class Order(BaseModel):
    """A JSON body with no field beyond those listed."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


Body = TypeVar("Body", bound=Order)


async def read(request: web.Request, kind: type[Body]) -> Body:
    """The JSON body as ``kind``. Raises HTTPBadRequest, naming the field that is wrong."""
    try:
        return kind.model_validate_json(await request.read())
    except ValidationError as exc:
        raise refused(str(exc)) from exc


def refused(why: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=why)
