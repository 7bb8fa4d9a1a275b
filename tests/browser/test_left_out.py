"""The pages say what a busy gateway leaves out, and fetch it later."""

import json
import re

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, Route, expect

from tests.testkit.browser import CHINESE, ENGLISH, PASS_TEXT, Phone

pytestmark = pytest.mark.asyncio(loop_scope="session")
LANGUAGES = pytest.mark.parametrize("phone", [CHINESE, ENGLISH], indirect=True)
PASSES, CERTIFICATES = "**/v1/passes:issue", "**/v1/certificates:issue"
TEXT = {"zh": "服务繁忙", "en": "Too busy"}
BUSY = re.compile("服务繁忙|[Bb]usy")


async def without_pictures(route: Route) -> None:
    """Takes out of an answer what a busy gateway leaves out."""
    reply = await route.fetch()
    answer = await reply.json()
    missing = [name for name in ("qrSvg", "pdf") if answer.get(name)]
    parts = [{"qrSvg": "QR_SVG", "pdf": "PDF"}[name] for name in missing]
    left_out = {"parts": parts, "text": TEXT, "retryAfter": 10}
    body = {**answer, **dict.fromkeys(missing), "leftOut": left_out}
    await route.fulfill(response=reply, body=json.dumps(body))


async def asked_again(page: Page) -> None:
    """Lets the time pass after which the page asks again, and waits for the next pass."""
    text = await page.evaluate(PASS_TEXT)
    await page.evaluate("last.asked -= 100_000")
    await page.wait_for_function("text => last.pass.text !== text", arg=text)


@LANGUAGES
async def test_a_code_without_its_picture_is_shown_and_the_picture_fetched_later(phone: Phone) -> None:
    """The code stands as ever, and where the picture would be stands why it is not. Once there, a picture stays for as
    long as it counts, when the next one is left out."""
    page = await phone.page("/")
    await page.route(PASSES, without_pictures)
    await page.locator("#people button").first.click()
    await expect(page.locator("#face")).to_have_attribute("data-state", "LIVE")
    await expect(page.locator("#word")).to_have_text(re.compile("^(绿码|Green)$"))
    await expect(page.locator("#image")).to_be_hidden()
    await expect(page.locator("#life")).to_have_text(BUSY)
    wait = await page.evaluate("renewal()")
    assert 10_000 <= wait <= 20_000
    assert [] == (await Axe().run(page)).response["violations"]
    await page.unroute(PASSES)
    await asked_again(page)
    await expect(page.locator("#image")).to_be_visible()
    await expect(page.locator("#life")).not_to_have_text(BUSY)
    picture = await page.locator("#image").get_attribute("src") or ""
    await page.route(PASSES, without_pictures)
    for _ in range(2):
        await asked_again(page)
        await expect(page.locator("#image")).to_have_attribute("src", picture)
        await expect(page.locator("#image")).to_be_visible()
    await page.evaluate("last.kept.expiresAt = new Date(0).toISOString()")
    await expect(page.locator("#image")).to_be_hidden()
    await expect(page.locator("#face")).to_have_attribute("data-state", "LIVE")


async def test_a_picture_of_another_word_is_not_kept(phone: Phone) -> None:
    """The picture of an earlier code is not shown beside a new one."""
    page = await phone.holder()
    await expect(page.locator("#image")).to_be_visible()
    await page.route(PASSES, without_pictures)
    await page.evaluate("last.code = { ...last.code, status: 'PENDING' }")
    await asked_again(page)
    await expect(page.locator("#image")).to_be_hidden()
    await expect(page.locator("#life")).to_have_text(BUSY)


async def test_a_certificate_without_its_page_is_asked_for_again(phone: Phone) -> None:
    """Its text can be copied meanwhile; one tap asks again, and the page is there."""
    page = await phone.holder()
    await page.route(CERTIFICATES, without_pictures)
    await page.locator("[data-action=results]").click()
    await page.locator("[data-certificate]").first.click()
    await expect(page.locator("[data-left-out]")).to_have_text(BUSY)
    await expect(page.locator("#sheetBody code")).to_have_text(re.compile("^HC1:"))
    await expect(page.locator("[data-pdf]")).to_have_count(0)
    assert [] == (await Axe().run(page)).response["violations"]
    await page.unroute(CERTIFICATES)
    await page.locator("[data-left-out] button").click()
    await expect(page.locator("[data-pdf]")).to_be_visible()
    await expect(page.locator("#sheetBody img.certificate")).to_be_visible()
    await expect(page.locator("[data-left-out]")).to_have_count(0)
