"""Every page of settings and care."""

from typing import Final

from wtai.web.console.page import Page
from wtai.web.console.settings import (
    account,
    audit,
    care,
    deliveries,
    features,
    hours,
    jobs,
    memories,
    numbers,
    overview,
    people,
    preferences,
    team,
    templates,
    tokens,
    tools,
    usage,
    versions,
    webhooks,
)

PAGES: Final[tuple[Page, ...]] = (
    *overview.PAGES,
    *account.PAGES,
    *people.PAGES,
    *memories.PAGES,
    *care.PAGES,
    *features.PAGES,
    *versions.PAGES,
    *tools.PAGES,
    *preferences.PAGES,
    *hours.PAGES,
    *templates.PAGES,
    *numbers.PAGES,
    *webhooks.PAGES,
    *deliveries.PAGES,
    *tokens.PAGES,
    *team.PAGES,
    *usage.PAGES,
    *audit.PAGES,
    *jobs.PAGES,
)
