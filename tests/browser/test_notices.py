"""Messages to a device: switched on and off on the holder's page, and shown by the service worker when one comes."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from tests.testkit.browser import CHINESE, ENGLISH, NARROW, PEOPLE, Phone, mesh_of_one, phone_at, settings
from tests.testkit.fakes.mesh import serving

pytestmark = pytest.mark.asyncio(loop_scope="session")
CONTROLLED = "() => navigator.serviceWorker.controller !== null"
SHOWN = """async () => (await (await navigator.serviceWorker.ready).getNotifications())
  .map(one => [one.title, one.body, one.lang, one.tag])"""
# A browser without a network has no push service: what it would subscribe to is made here.
PUSH_MANAGER = """
let made = null;
PushManager.prototype.getSubscription = async () => made;
PushManager.prototype.subscribe = async ({ applicationServerKey }) => {
  const pair = await crypto.subtle.generateKey({ name: "ECDH", namedCurve: "P-256" }, true, ["deriveBits"]);
  const text = bytes => btoa(String.fromCharCode(...new Uint8Array(bytes)))
    .replace(/\\+/g, "-").replace(/\\//g, "_").replace(/=+$/, "");
  const key = atob(applicationServerKey.replace(/-/g, "+").replace(/_/g, "/"));
  const bytes = Uint8Array.from(key, one => one.charCodeAt(0));
  const p256dh = text(await crypto.subtle.exportKey("raw", pair.publicKey));
  const endpoint = "https://updates.push.services.mozilla.com/wpush/v2/one";
  made = { endpoint, options: { applicationServerKey: bytes.buffer },
    toJSON: () => ({ endpoint, expirationTime: null, keys: { p256dh, auth: text(new Uint8Array(16)) } }),
    unsubscribe: async () => { made = null; return true; } };
  return made;
};
"""


@pytest_asyncio.fixture(loop_scope="session")
async def phone(browser: Browser, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Phone]:
    """A phone at a gateway that tells devices, and whose store lies in the test's folder."""
    language = getattr(request, "param", CHINESE)
    mesh = mesh_of_one()
    told = msgspec.structs.replace(settings(), push_store=f"sqlite:///{tmp_path / 'push.db'}", push_migrate=True)
    async with (
        serving(mesh, told, sample_people=PEOPLE) as (port, _),
        phone_at(browser, mesh, port, language, installs=True) as opened,
    ):
        await opened.context.add_init_script(PUSH_MANAGER)
        yield opened


async def kept(folder: Path, expected: list[tuple[str, int]]) -> None:
    """Waits until the store has these subscriptions: region and language."""
    async with asyncio.timeout(60):
        while True:
            with closing(sqlite3.connect(f"file:{folder / 'push.db'}?mode=ro", uri=True)) as file:
                if expected == file.execute("select region, language from push_subscription order by 1").fetchall():
                    return
            await asyncio.sleep(0.05)


async def opened_sheet(page: Page) -> None:
    """Opens what tells of messages."""
    await page.locator("[data-action=notices]").click()
    await expect(page.locator("[data-switch]")).to_be_visible()


async def deliver(page: Page, message: str) -> None:
    """Has the browser hand a message to the service worker, as its push service would."""
    session = await page.context.new_cdp_session(page)
    registrations: asyncio.Queue[str] = asyncio.Queue()

    def updated(event: dict[str, list[dict[str, str]]]) -> None:
        for one in event["registrations"]:
            registrations.put_nowait(one["registrationId"])

    session.on("ServiceWorker.workerRegistrationUpdated", updated)
    await session.send("ServiceWorker.enable")
    async with asyncio.timeout(60):
        registration = await registrations.get()
    origin = (await page.evaluate("location.origin")) + "/"
    await session.send(
        "ServiceWorker.deliverPushMessage", {"origin": origin, "registrationId": registration, "data": message}
    )


@pytest.mark.parametrize("phone", [CHINESE, ENGLISH], indirect=True)
async def test_a_person_switches_messages_on_and_off(phone: Phone, tmp_path: Path) -> None:
    """Opt-in: asked when they say so, kept in their language, renewed when the page is opened in another, and gone when
    they switch it off or sign out."""
    await phone.context.grant_permissions(["notifications"])
    page = await phone.holder()
    await page.wait_for_function(CONTROLLED)
    await opened_sheet(page)
    switch = page.locator("[data-switch]")
    await expect(switch).to_have_attribute("aria-checked", "false")
    assert [] == (await Axe().run(page)).response["violations"]
    await switch.click()
    await expect(switch).to_have_attribute("aria-checked", "true")
    own = 1 if await page.evaluate("language") == "zh" else 2
    await kept(tmp_path, [("110000", own)])
    await switch.click()
    await expect(switch).to_have_attribute("aria-checked", "false")
    await kept(tmp_path, [])
    await switch.click()
    await expect(switch).to_have_attribute("aria-checked", "true")
    await page.locator("#close").click()
    await page.locator("#language").click()
    await page.reload()
    await kept(tmp_path, [("110000", 3 - own)])
    await page.locator("#leave").click()
    await kept(tmp_path, [])


async def test_a_browser_that_lets_nobody_notify_says_so(phone: Phone, tmp_path: Path) -> None:
    """Nothing is subscribed, and the page tells where to allow it; also on the narrowest telephone."""
    await phone.context.clear_permissions()
    page = await phone.holder()
    await page.set_viewport_size(NARROW)
    await page.evaluate("Notification.requestPermission = async () => 'denied'")
    await opened_sheet(page)
    await page.locator("[data-switch]").click()
    said = page.locator("#sheetBody [role=status]")
    await expect(said).to_have_text("浏览器不许本站发通知：请在浏览器的设置里允许。")
    await expect(page.locator("[data-switch]")).to_have_attribute("aria-checked", "false")
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await kept(tmp_path, [])


async def test_a_message_is_shown_with_the_page_closed_or_open(phone: Phone) -> None:
    """The service worker shows what the gateway says; of one kind the newest stands."""
    await phone.context.grant_permissions(["notifications"])
    page = await phone.holder()
    await page.wait_for_function(CONTROLLED)
    for text in ("健康码将于 08-05 13:20 到期。", "健康码将于 08-06 13:20 到期。"):
        said = {"kind": "ENDING", "lang": "zh-CN", "title": "互通 · 健康码", "body": text}
        await deliver(page, json.dumps(said, ensure_ascii=False).ljust(256))
        shown = f"async () => ((await ({SHOWN})())[0] || [])[1] === {json.dumps(text)}"
        await page.wait_for_function(shown, polling=200)
    assert [["互通 · 健康码", text, "zh-CN", "ENDING"]] == await page.evaluate(SHOWN)


async def test_where_no_messages_are_sent_there_is_no_switch(browser: Browser) -> None:
    """The gateway says that it sends none."""
    mesh = mesh_of_one()
    async with (
        serving(mesh, settings(), sample_people=PEOPLE) as (port, _),
        phone_at(browser, mesh, port, CHINESE, installs=True) as phone,
    ):
        page = await phone.page("/")
        async with page.expect_response("**/v1/pushKey") as asked:
            await page.locator("#people button").first.click()
        assert {"applicationServerKey": None} == await (await asked.value).json()
        await expect(page.locator("[data-action=looks]")).to_be_visible()
        await expect(page.locator("[data-action=notices]")).to_have_count(0)
