"""All routes of the API. Those that the platform may use on any owner are there twice: the second time under the owner's path."""

from typing import Final

from wtai.web.api import auth, conversations, messages
from wtai.web.api.route import Route, for_platform, is_for_platform

_OWN: Final[tuple[Route, ...]] = (
    *conversations.ROUTES,
    *messages.ROUTES,
)

ROUTES: Final[tuple[Route, ...]] = (
    *auth.ROUTES,
    *_OWN,
    *(for_platform(route) for route in _OWN if is_for_platform(route)),
)
