"""The pages of holders and venues in a real Chromium, at phone size."""

import asyncio
import gzip
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from shutil import which
from typing import NamedTuple

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import BrowserContext, Page, async_playwright, expect

from gateway.settings import GatewaySettings
from services.common.errors import Unavailable
from tests.testkit.fakes.mesh import PERSON, Mesh, record, serving
from tests.testkit.needs import missing
from tests.testkit.secret import SECRET
from tests.testkit.servers.gateway_clients import PEOPLE

CHROMIUM = which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
PHONE = {"width": 390, "height": 844}
NARROW = {"width": 320, "height": 640}
LANGUAGES = ["zh-CN", "en-GB"]
PAGE_BYTES = 60_000
STALE_PROBLEM = {"reason": "VERDICT_STALE", "detail": "", "violations": []}
TEXT = "last.pass.text"


class Phone(NamedTuple):
    """A browser of a language at a gateway, and what its pages complained of."""

    mesh: Mesh
    context: BrowserContext
    errors: list[str]

    async def holder(self) -> Page:
        """Signs the sample person in with one click, and waits for the code."""
        page = await self.page("/")
        await page.locator("#people button").first.click()
        await expect(page.locator("#face")).to_have_attribute("data-state", "LIVE")
        return page

    async def venue(self) -> Page:
        """Chooses a place, and waits for the keys."""
        page = await self.page("/check")
        await page.select_option("#scene", "9")
        await expect(page.locator("#keys")).to_have_text(re.compile("公钥更新于|Keys from"))
        return page

    async def page(self, path: str) -> Page:
        """Opens a page."""
        page = await self.context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        await page.goto(path)
        return page


async def scan(page: Page, text: str) -> None:
    """Types as a scanner does, and ends with Enter."""
    await page.locator("#text").fill(text)
    await page.locator("#text").press("Enter")


@pytest.fixture(params=LANGUAGES)
async def phone(request: pytest.FixtureRequest) -> AsyncIterator[Phone]:
    """A phone at a gateway of its own."""
    if CHROMIUM is None:
        missing("no Chromium; apt-get install chromium")
    mesh = Mesh()
    mesh.records[PERSON].append(record())
    settings = GatewaySettings(mesh_secret=SECRET, http_listen="127.0.0.1:0")
    async with serving(mesh, settings, sample_people=PEOPLE) as (port, _), async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = await browser.new_context(
            viewport=PHONE,  # type: ignore[arg-type]  # a typed dict
            locale=request.param,
            base_url=f"http://127.0.0.1:{port}",
        )
        phone = Phone(mesh, context, [])
        yield phone
        await browser.close()
    assert [] == phone.errors


async def test_a_click_shows_the_code_and_its_pass(phone: Phone) -> None:
    """The face with its QR code is on the first screen; the pass renews itself; nothing moves when it does."""
    page = await phone.holder()
    await expect(page.locator("#word")).to_have_text(re.compile("^(予以认可|Recognised)$"))
    await expect(page.locator("#image")).to_be_in_viewport(ratio=1)
    await expect(page.locator("#holderName")).to_have_text("张*")
    await expect(page.locator("#count")).to_have_text(re.compile(r"\d"))
    clock = await page.locator("#clock").text_content()
    await expect(page.locator("#clock")).not_to_have_text(clock or "")
    text, box = await page.evaluate(TEXT), await page.locator("#qr").bounding_box()
    await page.evaluate("last.asked -= 100_000")
    await page.wait_for_function("text => last.pass.text !== text", arg=text)
    assert box == await page.locator("#qr").bounding_box()
    language = await page.evaluate("document.documentElement.lang")
    words = await page.locator("main").inner_text()
    assert ("有效至" in words, "Valid until" in words) == (language == "zh-CN", language == "en")


async def test_offline_the_last_code_stays_and_grows_old(phone: Phone) -> None:
    """It is live for as long as its pass lives, then an old code, then one that has ended: neither is green, neither
    has a pass. Back online it is live again."""
    page = await phone.holder()
    face = page.locator("#face")
    await phone.context.set_offline(True)
    await page.evaluate("last.asked -= 100_000")
    await expect(page.locator("#note")).not_to_have_text("")
    await expect(face).to_have_attribute("data-state", "LIVE")
    green = await face.evaluate("e => getComputedStyle(e).backgroundColor")
    await page.evaluate("last.asked -= 100_000, last.at -= 200_000")
    await expect(face).to_have_attribute("data-state", "STALE")
    await expect(page.locator("#until")).to_have_text(re.compile("3"))
    await expect(page.locator("#image")).not_to_be_visible()
    assert green != await face.evaluate("e => getComputedStyle(e).backgroundColor")
    await page.evaluate("last.code.validUntil = '2022-08-05T00:00:00+08:00'")
    await expect(face).to_have_attribute("data-state", "EXPIRED")
    assert "rgb(17, 17, 17)" == await face.evaluate("e => getComputedStyle(e).backgroundColor")
    await phone.context.set_offline(False)
    await expect(face).to_have_attribute("data-state", "LIVE", timeout=10_000)


async def test_a_stale_verdict_is_no_green_code(phone: Phone) -> None:
    """The gateway has the last verdict alone: the page says so with a face of its own."""
    page = await phone.holder()
    phone.mesh.failing = Unavailable("DOWN", "不在", "Down")
    await phone.context.route("**/v1/passes:issue", lambda route: route.fulfill(status=503, json=STALE_PROBLEM))
    code = await page.evaluate("({...last.code, freshness: 'STALE', age: 600})")
    await phone.context.route("**/v1/healthCode:show", lambda route: route.fulfill(json=code))
    await page.evaluate("last.asked -= 100_000")
    await expect(page.locator("#face")).to_have_attribute("data-state", "STALE")
    await expect(page.locator("#until")).to_have_text(re.compile("10"))


async def test_every_question_is_one_tap_and_escape_closes(phone: Phone) -> None:
    """Why, where to, results with a claim that goes when it is claimed, who looked; by the keyboard alone."""
    page = await phone.holder()
    for index, shown in enumerate(["li", ".tiles button", "li button"]):
        button = page.locator("#actions button").nth(index)
        await button.focus()
        await page.keyboard.press("Enter")
        await expect(page.locator(f"#sheetBody {shown}").first).to_be_visible()
        if shown == "li button":
            await page.locator("#sheetBody li button").press("Enter")
            await expect(page.locator("#sheetBody li button")).to_have_count(0)
            await expect(page.locator("#sheetBody [role=status]")).to_have_text(re.compile("已纳入|Claimed"))
        await page.keyboard.press("Escape")
        await expect(page.locator("#sheet")).not_to_be_visible()
        await expect(button).to_be_focused()
    assert 1 == len([one for person, one in phone.mesh.claimed.items() if person[0] == PERSON])


async def test_a_venue_checks_with_no_network(phone: Phone) -> None:
    """It believes the pass, shows initials and birthday alone, and refuses what is forged or shown twice; it counts,
    and lists nobody."""
    holder, venue = await phone.holder(), await phone.venue()
    text = await holder.evaluate(TEXT)
    answer = venue.locator("#answer")
    await phone.context.set_offline(True)
    await scan(venue, text)
    await expect(answer).to_have_attribute("data-kind", "GREEN")
    await expect(venue.locator("#who")).to_have_text(re.compile(r"^张\*　.*\d\d-\d\d$"))
    for forged in (text[:-1], text[:60] + ("A" if text[60] != "A" else "B") + text[61:], "HC1:", "随便什么"):
        await scan(venue, forged)
        await expect(answer).to_have_attribute("data-kind", "REFUSED")
        await expect(venue.locator("#detail")).to_have_text(re.compile("[A-Z_]{6,}"))
    await asyncio.sleep(5.1)  # A camera's second look is no second showing: 5 s.
    await scan(venue, text)
    await expect(venue.locator("#detail")).to_have_text(re.compile("PASS_USED"))
    await expect(venue.locator("#counts")).to_have_text(re.compile(r"1\D+5"))
    assert text not in await venue.content()


@pytest.mark.parametrize(("hours", "reason"), [(-1, "CLOCK_OFF"), (1, "CLOCK_OFF")])
async def test_a_clock_that_is_off_is_said(phone: Phone, hours: int, reason: str) -> None:
    """By an hour, either way: the keys' signed time shows it while there is a network."""
    text = await (await phone.holder()).evaluate(TEXT)
    page = await phone.context.new_page()
    await page.clock.install(time=datetime.now(UTC) + timedelta(hours=hours))
    await page.goto("/check")
    await page.select_option("#scene", "9")
    await expect(page.locator("#keys")).to_have_text(re.compile(r"\d"))
    await scan(page, text)
    await expect(page.locator("#detail")).to_have_text(re.compile(reason))


async def test_without_keys_nobody_passes(phone: Phone) -> None:
    """The page was opened, and no bundle ever came."""
    await phone.context.route("**/v1/trustBundle", lambda route: route.abort())
    text = await (await phone.holder()).evaluate(TEXT)
    page = await phone.page("/check")
    await page.select_option("#scene", "9")
    await scan(page, text)
    await expect(page.locator("#detail")).to_have_text(re.compile("KEYS_MISSING"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing(phone: Phone, scheme: str) -> None:
    """On both pages, signed in and out, with a sheet open, in both schemes; and 320 px need no scrolling sideways."""
    await phone.context.new_page()
    axe = Axe()
    entry = await phone.page("/")
    await entry.locator("#people button").first.wait_for()
    holder, venue = await phone.holder(), await phone.venue()
    await scan(venue, await holder.evaluate(TEXT))
    await expect(venue.locator("#answer")).to_have_attribute("data-kind", "GREEN")
    opened = await phone.holder()
    await opened.locator("#actions button").nth(1).click()
    await opened.locator(".tiles button").first.wait_for()
    for page in (entry, holder, venue, opened):
        await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # a literal
        found = await axe.run(page)
        assert [] == [(one["id"], one["nodes"][0]["html"]) for one in found.response["violations"]]
        await page.set_viewport_size(NARROW)  # type: ignore[arg-type]  # a typed dict
        assert NARROW["width"] >= await page.evaluate("document.documentElement.scrollWidth")


async def test_pages_are_light(phone: Phone) -> None:
    """Compressed, each is below the budget, and it asks nobody but the gateway."""
    asked: list[str] = []
    phone.context.on("request", lambda request: asked.append(request.url))
    for path in ("/", "/check"):
        page = await phone.page(path)
        assert PAGE_BYTES > len(gzip.compress((await page.content()).encode()))
    hosts = {re.sub(r"^(\w+:(//[^:/]+)?).*", r"\1", url) for url in asked}
    assert hosts <= {"http://127.0.0.1", "data:"}
