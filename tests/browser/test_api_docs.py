"""The API's documentation in a real browser: it shows every operation and asks nobody but this server, under a strict policy."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.browser.conftest import Complaints
from tests.web.api_client import open_api
from wtai.web.api.routes import ROUTES

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def test_every_operation_is_shown_and_one_can_be_tried_out(
    data_dir: Path, browser: Browser, complaints: Complaints
) -> None:
    async with open_api(data_dir) as api:
        context = await browser.new_context(viewport={"width": 1280, "height": 900})
        page = await context.new_page()
        complaints.listen(page, api.program.url or "")
        await page.goto(f"{api.program.url}/api/docs")
        await expect(page.locator(".opblock")).to_have_count(len(ROUTES))
        assert api.admin.token is not None
        await page.click("button.authorize")
        await page.fill(".auth-container input", api.admin.token)
        await page.click(".auth-container button.authorize")
        await page.click("button.btn-done")
        me = page.locator("#operations-me-get_me")
        await me.locator(".opblock-summary-control").click()
        await me.locator("button.try-out__btn").click()
        await me.locator("button.execute").click()
        await expect(me.locator(".live-responses-table .response-col_status").nth(1)).to_contain_text("200")
        await expect(me.locator(".live-responses-table")).to_contain_text(api.lines[0].owner)
        await context.close()
