"""The pages hold their budgets: bytes, things that move while they come, and whom they ask."""

import pytest
from playwright.async_api import expect

from tests.testkit.browser import Phone
from tests.testkit.page_budgets import Budget

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("path", ["/", "/check"])
async def test_pages_are_light_and_stand_still(phone: Phone, path: str) -> None:
    """Compressed, each is below the budget, with all that it needs; it asks nobody but the gateway; nothing moves while
    it comes, when the code comes, and when the page is opened again."""
    budget = Budget(phone)
    await budget.watch()
    page = await phone.page(path)
    if path == "/":
        await page.locator("#people button").first.click()
        await expect(page.locator("#face")).to_have_attribute("data-state", "LIVE")
    await budget.hold(page, path)
