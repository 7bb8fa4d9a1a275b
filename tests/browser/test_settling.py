"""The supervisor settles a conflict and asks for an overdue result, in a real Chromium, on a mesh with its sample
people."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from cli.mesh import embedded
from tests.testkit.browser import CHINESE, ENGLISH, NARROW, Phone, mesh_of_one, phone_at

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def phone(browser: Browser, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Phone]:
    """A phone at a mesh in this process."""
    async with embedded(tmp_path, samples=True) as mesh:
        port = int(mesh.http.rpartition(":")[2])
        async with phone_at(browser, mesh_of_one(), port, getattr(request, "param", CHINESE)) as opened:
            yield opened


async def at(phone: Phone, view: str, region: str) -> Page:
    """Signs in, and shows a region's view."""
    page = await phone.page("/supervision")
    await page.locator("#sample").click()
    await page.locator(f"[data-view={view}]").click()
    await page.select_option("#region", region)
    await expect(page.locator("#table tbody button").first).to_be_visible()
    return page


async def clean(page: Page) -> None:
    """Asserts that axe finds nothing."""
    found = await Axe().run(page)
    assert 0 == found.violations_count, found.generate_report()


async def test_a_conflict_is_settled_with_its_cause_by_keyboard(phone: Phone) -> None:
    """Both statements, no decision without a cause, and the row is gone."""
    page = await at(phone, "conflicts", "110000")
    rows = page.locator("#table tbody button")
    before = await rows.count()
    await rows.first.focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#sheet")).to_be_visible()
    await expect(page.locator("#cause")).to_be_focused()
    await clean(page)
    await page.locator("[data-settle=STORED_KEPT]").click()
    await expect(page.locator("#sheet")).to_be_visible()
    await page.locator("#cause").focus()
    await page.keyboard.type("已核对原始记录")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator("#sheet")).not_to_be_visible()
    await expect(page.locator("#note")).to_contain_text("已处理")
    await expect(rows).to_have_count(before - 1)


@pytest.mark.parametrize("phone", [ENGLISH], indirect=True)
async def test_what_is_refused_is_said_and_the_cause_stays(phone: Phone) -> None:
    """A number in the cause is refused by name, and nothing that was written is lost, in another language either."""
    page = await at(phone, "conflicts", "110000")
    await page.set_viewport_size(NARROW)
    await page.locator("#table tbody button").first.click()
    await page.locator("#cause").fill("11010519491231002X")
    await page.locator("[data-settle=OFFERED_TAKEN]").click()
    await expect(page.locator("#sheetBody [role=alert]")).not_to_have_text("")
    assert await page.evaluate("document.documentElement.scrollWidth") <= 320
    await expect(page.locator("#cause")).to_have_value("11010519491231002X")
    await expect(page.locator("#sheet")).to_be_visible()


async def test_a_laboratory_is_asked_once_and_the_table_says_since_when(phone: Phone) -> None:
    """The button goes, the instant stands in its place, and is there when the page is opened again."""
    page = await at(phone, "overdue", "430000")
    row = page.locator("#table tbody tr").filter(has=page.locator("button")).first
    sample = await row.locator("th").inner_text()
    await row.locator("button").click()
    await expect(page.locator("#note")).to_contain_text("已催报")
    asked = page.locator("#table tbody tr").filter(has_text=sample)
    await expect(asked.locator("button")).to_have_count(0)
    await page.reload()
    await page.select_option("#region", "430000")
    await expect(asked).to_contain_text("已催")
    await clean(page)
