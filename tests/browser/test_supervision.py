"""The supervisor's page in a real Chromium: sign in, read, download, open a refusal again, in both languages, by
keyboard alone, narrow and dark."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from gateway.settings import GatewaySettings
from tests.testkit.browser import CHINESE, ENGLISH, NARROW, PATIENCE, PEOPLE, Phone, mesh_of_one, phone_at
from tests.testkit.fakes.mesh import DOCUMENT, serving
from tests.testkit.page_budgets import Budget
from tests.testkit.secret import SECRET

pytestmark = pytest.mark.asyncio(loop_scope="session")
HAN = re.compile("[\u4e00-\u9fff]")
UNKNOWN = {"type": "PASSPORT", "number": "E12345678"}


@pytest_asyncio.fixture(loop_scope="session")
async def phone(browser: Browser, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Phone]:
    """A phone at a gateway that counts, after one recognition and one refusal."""
    mesh = mesh_of_one()
    settings = GatewaySettings(
        mesh_secret=SECRET,
        http_listen="127.0.0.1:0",
        development=str(tmp_path / "development"),
        supervision_store=f"sqlite:///{tmp_path / 'supervision.db'}",
        supervision_migrate=True,
    )
    async with (
        serving(mesh, settings, sample_people=PEOPLE) as (port, _),
        phone_at(browser, mesh, port, getattr(request, "param", CHINESE)) as opened,
    ):
        for document in (DOCUMENT, UNKNOWN):
            body = {"document": document, "region": "110000", "scene": "HOTEL"}
            reply = await opened.context.request.post("/v1/healthCode:show", data=body)
            assert 200 == reply.status
        yield opened


async def signed_in(phone: Phone) -> Page:
    """Signs in with one click, and waits for the figures."""
    page = await phone.page("/supervision")
    await page.locator("#sample").click()
    await expect(page.locator("#table tbody tr")).not_to_have_count(0)
    await expect(page.locator("#chart svg[role=img]")).to_be_visible()
    return page


async def test_a_supervisor_reads_downloads_and_opens_a_refusal_again(phone: Phone) -> None:
    """Figures with their bars, the CSV beside them, the refusal with what was said then and what is judged again."""
    page = await signed_in(phone)
    await page.select_option("#group", "detail")
    row = page.locator("#table tbody tr")
    await expect(row).to_have_count(1)
    await expect(row).to_contain_text("宾馆")
    async with page.expect_download() as downloading:
        await page.locator("#csv").click()
    csv = await (await downloading.value).path()
    text = csv.read_text(encoding="utf-8-sig")
    assert text.splitlines()[0].startswith("day,region,scene,recognised")
    assert 2 == len(text.splitlines())
    await page.locator("[data-view=refusals]").click()
    await expect(row).to_have_count(1)
    await row.get_by_role("button").click()
    await expect(page.locator("#sheet")).to_be_visible()
    await expect(page.locator("[data-same]")).to_have_attribute("data-same", "true")
    await expect(page.locator("#sheetBody")).to_contain_text("不认可")
    await page.locator("#close").click()
    for view in ("policies", "laboratories", "conflicts", "overdue"):
        await page.locator(f"[data-view={view}]").click()
        await expect(page.locator(f"[data-view={view}]")).to_have_attribute("aria-pressed", "true")
    # Signed in it stays, signed out nothing is left.
    await page.reload()
    await expect(page.locator("#supervisor")).to_be_visible()
    await page.locator("#leave").click()
    await expect(page.locator("#enter")).to_be_visible()
    assert UNKNOWN["number"] not in await page.content()


async def test_it_is_light_and_stands_still(phone: Phone) -> None:
    """Below the budget of the other pages, and nothing moves when the figures come, or come again."""
    budget = Budget(phone)
    await budget.watch()
    await budget.hold(await signed_in(phone), "/supervision")


@pytest.mark.parametrize("phone", [ENGLISH], indirect=True)
async def test_each_language_stands_by_itself(phone: Phone) -> None:
    """In English nothing is Chinese but the button that leads there, and the other way round."""
    page = await signed_in(phone)
    other = await page.locator("#language").inner_text()
    assert not HAN.search((await page.locator("body").inner_text()).replace(other, "")), "English"
    await page.locator("#language").click()
    await expect(page.locator("#heading")).to_have_text("认可情况")
    words = (await page.locator("#supervisor").inner_text()).replace("CSV", "")
    assert not re.search("[a-z]{4}", words), words
    await expect(page.locator("html")).to_have_attribute("lang", "zh-CN")


async def test_it_is_done_by_keyboard_alone(phone: Phone) -> None:
    """Tab and Enter reach the sign-in, the refusals, one of them, and its end."""
    page = await phone.page("/supervision")
    await page.locator("#sample").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#heading")).to_be_focused(timeout=PATIENCE)
    for _ in range(40):
        await page.keyboard.press("Shift+Tab")
        if await page.evaluate("document.activeElement.dataset.view === 'refusals'"):
            break
    await page.keyboard.press("Enter")
    opening = page.locator("#table tbody button")
    await expect(opening).to_have_count(1)
    for _ in range(40):
        await page.keyboard.press("Tab")
        if await opening.evaluate("one => one === document.activeElement"):
            break
    await page.keyboard.press("Enter")
    await expect(page.locator("#sheet")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator("#sheet")).not_to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_fits_a_narrow_screen_in_light_and_dark(phone: Phone, scheme: str) -> None:
    """At 320 px the tables scroll by themselves, and the page does not."""
    page = await signed_in(phone)
    await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of the two
    await page.set_viewport_size(NARROW)
    for view in ("figures", "refusals", "policies", "laboratories", "conflicts", "overdue"):
        await page.locator(f"[data-view={view}]").click()
        await expect(page.locator("#note")).not_to_have_text("正在取……")
        assert await page.evaluate("document.documentElement.scrollWidth") <= 320, view


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing(phone: Phone, scheme: str) -> None:
    """Signed out, on every view, and on a refusal that is opened again."""
    page = await phone.page("/supervision")
    await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of the two
    await page.locator("#sample").wait_for()
    await clean(page)
    page = await signed_in(phone)
    await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of the two
    for view in ("figures", "policies", "refusals"):
        await page.locator(f"[data-view={view}]").click()
        await expect(page.locator("#note")).not_to_have_text("正在取……")
        await clean(page)
    await page.locator("#table tbody button").click()
    await expect(page.locator("#sheet")).to_be_visible()
    await clean(page)


async def clean(page: Page) -> None:
    """Asks axe about a page."""
    response = (await Axe().run(page)).response
    assert [] == [(one["id"], one["nodes"][0]["html"]) for one in response["violations"]]


async def test_a_token_that_will_not_do_is_said(phone: Phone) -> None:
    """And leaves nobody half signed in."""
    page = await phone.page("/supervision")
    await page.locator("#token").fill("no token")
    await page.locator("#token").press("Enter")
    await expect(page.locator("#hint")).to_contain_text("令牌无效")
    await expect(page.locator("#supervisor")).not_to_be_visible()
