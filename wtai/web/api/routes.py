"""All routes of the API. Those that the platform may use on any owner are there twice: the second time under the owner's path."""

from typing import Final

from wtai.web.api import (
    accounts,
    ai_results,
    audit_log,
    auth,
    conversations,
    end_users,
    features,
    jobs,
    me,
    memories,
    messages,
    owners,
    plans,
    templates,
    tokens,
    usage,
    users,
    webhook_endpoints,
)
from wtai.web.api.route import Route, for_platform, is_for_platform

_OF_AN_OWNER: Final[tuple[Route, ...]] = (
    *users.ROUTES,
    *end_users.ROUTES,
    *tokens.ROUTES,
    *plans.ROUTES,
    *features.ROUTES,
    *accounts.ROUTES,
    *conversations.ROUTES,
    *messages.ROUTES,
    *ai_results.ROUTES,
    *memories.ROUTES,
    *templates.ROUTES,
    *jobs.ROUTES,
    *usage.ROUTES,
    *webhook_endpoints.ROUTES,
    *audit_log.ROUTES,
)

ROUTES: Final[tuple[Route, ...]] = (
    *auth.ROUTES,
    *me.ROUTES,
    *owners.ROUTES,
    *plans.PLANS,
    *_OF_AN_OWNER,
    *(for_platform(route) for route in _OF_AN_OWNER if is_for_platform(route)),
)
