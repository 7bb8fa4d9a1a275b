"""The venue's page in a real Chromium: what passes, what does not, and that it says why."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Page, expect

from tests.testkit.browser import PASS_TEXT, Phone

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def scan(page: Page, text: str) -> None:
    """Types into the field as somebody who pastes does, and ends with Enter."""
    await page.locator("#text").fill(text)
    await page.locator("#text").press("Enter")


async def refused(page: Page, reason: str) -> None:
    """Waits until the page refuses for a reason, in words and in no colour of a code."""
    answer = page.locator("#answer")
    await expect(answer).to_have_attribute("data-reason", reason)
    await expect(answer).to_have_attribute("data-kind", "REFUSED")
    await expect(page.locator("#detail")).to_have_text(re.compile("不放行|STOP"))


async def test_a_venue_checks_with_no_network(phone: Phone) -> None:
    """It believes the pass, shows initials and birthday alone, and refuses what is forged or shown twice, also when it
    was opened again in between; it counts, and lists nobody."""
    holder, venue = await phone.holder(), await phone.venue()
    text = await holder.evaluate(PASS_TEXT)
    answer = venue.locator("#answer")
    await phone.context.set_offline(True)
    await scan(venue, text)
    await expect(answer).to_have_attribute("data-kind", "GREEN")
    await expect(venue.locator("#word")).to_have_text(re.compile("^(放行|PASS)$"))
    await expect(venue.locator("#who")).to_have_text(re.compile(r"^张\*　.*\d\d-\d\d$"))
    forged = text[:60] + ("A" if text[60] != "A" else "B") + text[61:]
    for wrong in (text[:-1], forged, "HC1:", "随便什么"):
        await scan(venue, wrong)
        await expect(answer).to_have_attribute("data-kind", "REFUSED")
        await expect(answer).to_have_attribute("data-reason", re.compile("[A-Z_]{6,}"))
    # A camera's second look, within 5 s, is no second showing.
    await venue.evaluate("gate.seen.forEach((at, nonce) => gate.seen.set(nonce, at - 6))")
    await venue.evaluate("kept.set('seen', [...gate.seen])")
    await scan(venue, text)
    await refused(venue, "PASS_USED")
    await expect(venue.locator("#counts")).to_have_text(re.compile(r"1\D+5"))
    assert text not in await venue.content()
    await phone.context.set_offline(False)
    again = await phone.venue()
    await scan(again, text)
    await refused(again, "PASS_USED")
    await expect(again.locator("#counts")).to_have_text(re.compile(r"1\D+6"))


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_clock_that_is_off_is_said(phone: Phone, hours: int) -> None:
    """By an hour, either way: the keys' signed time shows it while there is a network."""
    text = await (await phone.holder()).evaluate(PASS_TEXT)
    page = await phone.context.new_page()
    await phone.context.add_init_script("addEventListener('load', () => { SHOWN.alone = 1e9; })")
    await page.clock.install(time=datetime.now(UTC) + timedelta(hours=hours))
    await page.goto("/check")
    await page.select_option("#scene", "0")
    await page.wait_for_function("() => online")
    await scan(page, text)
    await refused(page, "CLOCK_OFF")


async def test_without_keys_nobody_passes(phone: Phone) -> None:
    """The page was opened, and no bundle ever came."""
    await phone.context.route("**/v1/trustBundle", lambda route: route.abort())
    text = await (await phone.holder()).evaluate(PASS_TEXT)
    page = await phone.page("/check")
    await page.evaluate("SHOWN.alone = 1e9")
    await page.select_option("#scene", "0")
    await scan(page, text)
    await refused(page, "KEYS_MISSING")


async def test_with_keys_that_are_too_old_nobody_passes(phone: Phone) -> None:
    """Four days offline: the page says how old its keys are, and that they are too old."""
    text = await (await phone.holder()).evaluate(PASS_TEXT)
    venue = await phone.venue()
    await phone.context.route("**/v1/trustBundle", lambda route: route.abort())
    await venue.close()
    page = await phone.context.new_page()
    await phone.context.add_init_script("addEventListener('load', () => { SHOWN.alone = 1e9; })")
    await page.clock.install(time=datetime.now(UTC) + timedelta(days=4))
    await page.goto("/check")
    await page.select_option("#scene", "0")
    await expect(page.locator("#keys")).to_have_text("公钥更新于 4天前，离线")
    await scan(page, text)
    await refused(page, "KEYS_TOO_OLD")


async def test_another_place_takes_no_general_code(phone: Phone) -> None:
    """A place of a kind refuses a pass that was judged by the general rules, until the holder chooses that place."""
    holder, venue = await phone.holder(), await phone.venue("9")
    await scan(venue, await holder.evaluate(PASS_TEXT))
    await refused(venue, "SCENE_MISSING")
    await holder.select_option("#scene", "METRO")
    await holder.wait_for_function("() => last && last.pass && JSON.parse(last.key).scene === 'METRO'")
    await scan(venue, await holder.evaluate(PASS_TEXT))
    await expect(venue.locator("#answer")).to_have_attribute("data-kind", "GREEN")


async def test_a_red_code_is_proven_and_does_not_pass(phone: Phone) -> None:
    """A pass proves a verdict, not a good one: another shape, another word, counted as stopped."""
    phone.mesh.shape = lambda verdict: verdict.MergeFrom(type(verdict)(status=4, colour=4))  # type: ignore[arg-type]
    holder, venue = await phone.holder(), await phone.venue()
    await scan(venue, await holder.evaluate(PASS_TEXT))
    await expect(venue.locator("#answer")).to_have_attribute("data-kind", "RED")
    await expect(venue.locator("#word")).to_have_text("不放行")
    await expect(venue.locator("#counts")).to_have_text("今日放行 0　不放行 1")


async def test_a_scanner_types_wherever_the_focus_is(phone: Phone) -> None:
    """In the queue mode, with a select or a button in focus: its keystrokes press and choose nothing."""
    holder, venue = await phone.holder(), await phone.venue()
    text = await holder.evaluate(PASS_TEXT)
    await venue.locator("#queue").focus()
    await venue.keyboard.press("Enter")
    await expect(venue.locator("#scene")).not_to_be_visible()
    await venue.locator("#queue").focus()
    await venue.keyboard.type(text + "\n")
    await expect(venue.locator("#answer")).to_have_attribute("data-kind", "GREEN")
    await expect(venue.locator("#answer")).to_be_in_viewport(ratio=1)
    await expect(venue.locator("#scene")).not_to_be_visible()
    # The answer to one person is not left standing for the next.
    await venue.evaluate("SHOWN.queue = 100")
    await venue.keyboard.type(text + "\n")
    await expect(venue.locator("#answer")).to_have_attribute("data-kind", "")
    await venue.evaluate("SHOWN.queue = 1e9")
    await venue.keyboard.press("Escape")
    await venue.locator("#scene").focus()
    await venue.keyboard.type(text[:40] + "\n")
    await expect(venue.locator("#answer")).to_have_attribute("data-kind", "REFUSED")
    assert "0" == await venue.locator("#scene").input_value()
