"""The pages as they are installed: they open with the gateway gone, and a new version takes over."""

import json
from contextlib import AsyncExitStack

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from gateway.pages import assembly, routes
from tests.testkit.browser import CHINESE, PASS_TEXT, PEOPLE, Phone, mesh_of_one, phone_at, settings
from tests.testkit.fakes.mesh import serving

pytestmark = pytest.mark.asyncio(loop_scope="session")
CONTROLLED = "() => navigator.serviceWorker.controller !== null"
# Asked again and again, as the page does: a browser forgets what is asked for while an update with no gateway goes on.
RENEWED = "() => { navigator.serviceWorker.ready.then(one => { one.update(); }); return !window.marked; }"
SCANNED = "async text => { await busy; await check(text); return shown.reason || COLOURS[shown.pass.colour]; }"


async def version(page: Page) -> list[str]:
    """Returns the versions that the device keeps."""
    names: list[str] = await page.evaluate("caches.keys()")
    return names


async def test_installed_pages_open_with_the_gateway_gone(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """The holder's page shows the last code with its age; the venue's, never opened before, checks passes with the
    keys that came with the installation, and says how old they are. A new version takes the old one's place."""
    mesh = mesh_of_one()
    async with AsyncExitStack() as stack:
        gateway = AsyncExitStack()
        port, _ = await gateway.enter_async_context(serving(mesh, settings(), sample_people=PEOPLE))
        stack.push_async_callback(gateway.aclose)
        phone = await stack.enter_async_context(phone_at(browser, mesh, port, CHINESE, installs=True))
        holder = await phone.holder()
        await holder.wait_for_function(CONTROLLED)
        (before,) = await version(holder)
        text = await holder.evaluate(PASS_TEXT)
        await gateway.aclose()

        again = await phone.page("/")
        await expect(again.locator("#face")).to_have_attribute("data-state", "LIVE")
        await expect(again.locator("#note")).not_to_have_text("")
        assert text == await again.evaluate(PASS_TEXT)
        venue = await phone.page("/check")
        await venue.select_option("#scene", "0")
        await expect(venue.locator("#keys")).to_contain_text("前，离线")
        assert "GREEN" == await venue.evaluate(SCANNED, text)
        # Both stay open. Opening a page has the browser look for a new version a moment later, and a page of a debugged
        # browser that is closed just then leaves that look paused for ever, with all that are asked for after it.

        assembled = assembly.assembled
        monkeypatch.setattr(routes, "assembled", lambda name: assembled(name) + "<!-- new -->\n")
        # Before there is anything new: opening a page has the browser look by itself, soon after the gateway is there.
        await holder.evaluate("window.marked = true")
        await stack.enter_async_context(serving(mesh, settings(port), sample_people=PEOPLE))
        await holder.wait_for_function(RENEWED, polling=1000)
        await holder.wait_for_function(CONTROLLED)
        assert [before] != await version(holder)
        assert "<!-- new -->" in await holder.evaluate(
            f"caches.open({json.dumps((await version(holder))[0])}).then(one => one.match('/')).then(one => one.text())"
        )
        await expect(holder.locator("#face")).to_have_attribute("data-state", "LIVE")


async def test_what_installs_them_is_described_and_there(phone: Phone) -> None:
    """Each manifest names a page, and icons that are there with the sizes that it says; the worker asks no one else."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{phone.port}") as http:
        for path, start in (("/manifest.webmanifest", "/"), ("/check.webmanifest", "/check")):
            manifest = (await http.get(path)).json()
            assert (start, "standalone") == (manifest["start_url"], manifest["display"])
            for icon in manifest["icons"]:
                reply = await http.get(icon["src"])
                assert (200, icon["type"]) == (reply.status_code, reply.headers["content-type"])
                if icon["type"] == "image/png":
                    width, height = (int.from_bytes(reply.content[at : at + 4], "big") for at in (16, 20))
                    assert icon["sizes"] == f"{width}x{height}"
        worker = await http.get("/worker.js")
        assert worker.headers["content-type"].startswith("text/javascript")
        assert "default-src 'none'; connect-src 'self'" == worker.headers["content-security-policy"]
