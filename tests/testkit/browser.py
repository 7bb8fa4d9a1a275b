"""A real Chromium at phone size, and a gateway over a mesh in miniature that its pages come from."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from cli.certificates.authority import utc_now
from cli.certificates.signers import write_signer
from gateway.application.samples import SampleDependant, SampleDocument, SamplePerson
from gateway.settings import GatewaySettings
from services.common.errors import Text
from tests.testkit.fakes.mesh import PERSON, Mesh, record, serving
from tests.testkit.needs import missing
from tests.testkit.secret import SECRET
from tests.testkit.servers.gateway_clients import PEOPLE as ONE

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
PHONE: Any = {"width": 390, "height": 844}
NARROW: Any = {"width": 320, "height": 640}
PEOPLE = [
    *ONE,
    SamplePerson(
        Text("李四", "Li Si"),
        SampleDocument("PASSPORT", "UTO2200002"),
        "110000",
        Text("张三的监护人", "Zhang San’s guardian"),
        (SampleDependant(ONE[0].name, ONE[0].document),),
    ),
]
SIGNERS = TemporaryDirectory()
write_signer(Path(SIGNERS.name), "430000", utc_now())
CHINESE, ENGLISH = "zh-CN", "en-GB"
PASS_TEXT = "last.pass.text"
PATIENCE = 30_000
"""How long, in ms, a page may take on a loaded machine."""


class Phone(NamedTuple):
    """A browser of a language at a gateway, and what its pages complained of."""

    mesh: Mesh
    context: BrowserContext
    errors: list[str]
    port: int

    async def page(self, path: str) -> Page:
        """Opens a page."""
        page = await self.context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        await page.goto(path)
        return page

    async def holder(self) -> Page:
        """Signs the first sample person in with one click, and waits for the code."""
        page = await self.page("/")
        await page.locator("#people button").first.click()
        await expect(page.locator("#face")).to_have_attribute("data-state", "LIVE")
        return page

    async def venue(self, scene: str = "0") -> Page:
        """Chooses a place, and waits for the keys."""
        page = await self.page("/check")
        # An answer stays until somebody has looked, however long that takes.
        await page.evaluate("SHOWN.alone = SHOWN.queue = 1e9")
        await page.select_option("#scene", scene)
        await expect(page.locator("#keys")).to_have_text(re.compile("公钥更新于|Keys from"))
        return page


def settings(port: int = 0) -> GatewaySettings:
    """Returns the settings of a gateway that signs sample people in."""
    return GatewaySettings(
        mesh_secret=SECRET,
        http_listen=f"127.0.0.1:{port}",
        certificate_signers=SIGNERS.name,
        certificate_trust=SIGNERS.name,
    )


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Starts a browser, or skips where there is none."""
    path = which("chromium")
    if path is None:
        missing("no Chromium; apt-get install chromium")
    expect.set_options(timeout=PATIENCE)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        await browser.close()


def mesh_of_one() -> Mesh:
    """Returns a mesh that knows one result of the sample person, from elsewhere."""
    mesh = Mesh()
    mesh.records[PERSON].append(record())
    return mesh


@asynccontextmanager
async def phone_at(
    browser: Browser, mesh: Mesh, port: int, language: str, *, installs: bool = False, **options: Any
) -> AsyncIterator[Phone]:
    """Opens a phone of a language at a gateway's port, and fails if a page of it complained. Without `installs` no
    service worker stands between the pages and the gateway."""
    context = await browser.new_context(
        viewport=PHONE,
        locale=language,
        base_url=f"http://127.0.0.1:{port}",
        service_workers="allow" if installs else "block",
        **options,
    )
    context.set_default_timeout(PATIENCE)
    phone = Phone(mesh, context, [], port)
    try:
        yield phone
    finally:
        await context.close()
    assert [] == phone.errors


@asynccontextmanager
async def phone_with_gateway(browser: Browser, language: str, **options: Any) -> AsyncIterator[Phone]:
    """Opens a phone at a gateway of its own."""
    mesh = mesh_of_one()
    async with (
        serving(mesh, settings(), sample_people=PEOPLE) as (port, _),
        phone_at(browser, mesh, port, language, **options) as phone,
    ):
        yield phone
