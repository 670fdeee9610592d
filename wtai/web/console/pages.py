"""Every page of the console that asks who is there."""

from typing import Final

from wtai.web.console import conversation, dashboard, inbox, inbox_labels, setup_steps, stream
from wtai.web.console.page import Page
from wtai.web.console.settings.pages import PAGES as SETTINGS

PAGES: Final[tuple[Page, ...]] = (
    *inbox.PAGES,
    *inbox_labels.PAGES,
    *conversation.PAGES,
    *dashboard.PAGES,
    *setup_steps.PAGES,
    *stream.PAGES,
    *SETTINGS,
)
