"""Certificates on the holder's page: one to print and to send, and one from elsewhere to present."""

import re
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from services.certificates.errors import CertificateNotBelieved
from services.certificates.refusals import CertificateRefused, Reason
from services.certificates.trust import trust_of
from services.certificates.verification import verify
from services.common.instants import to_datetime
from services.runtime.clock import system_clock
from tests.testkit.browser import CHINESE, ENGLISH, SIGNERS, Phone

pytestmark = pytest.mark.asyncio(loop_scope="session")
LANGUAGES = pytest.mark.parametrize("phone", [CHINESE, ENGLISH], indirect=True)


@LANGUAGES
async def test_a_certificate_is_shown_printed_and_copied(phone: Phone, tmp_path: Path) -> None:
    """Two taps from the code; what is downloaded is a page, and what is copied is what any verifier reads."""
    page = await phone.holder()
    await page.locator("[data-action=results]").click()
    await page.locator("[data-certificate]").first.click()
    image = page.locator("#sheetBody img.certificate")
    await expect(image).to_be_visible()
    await expect(image).to_have_attribute("alt", re.compile("."))
    async with page.expect_download() as waiting:
        await page.locator("[data-pdf]").click()
    download = await waiting.value
    await download.save_as(tmp_path / "page.pdf")
    assert download.suggested_filename.endswith(".pdf")
    assert b"%PDF" == (tmp_path / "page.pdf").read_bytes()[:4]
    text = await page.locator("#sheetBody code").text_content() or ""
    verified = verify(text, trust_of(Path(SIGNERS.name)), to_datetime(system_clock()))
    assert ("ZHANG", "张三") == (verified.contents.nam.fnt, verified.contents.nam.fn)
    assert [] == (await Axe().run(page)).response["violations"]


@LANGUAGES
async def test_a_certificate_is_presented_or_refused_with_its_reason(phone: Phone) -> None:
    """What is refused stays in the field, with why; what is kept is said, and the code is asked for again."""
    page = await phone.holder()
    await page.locator("[data-action=results]").click()
    await page.locator("[data-present]").click()
    await page.locator("#presented").fill("HC1:NCFOXN")
    assert [] == (await Axe().run(page)).response["violations"]
    phone.mesh.refusing = CertificateNotBelieved(CertificateRefused(Reason.OTHER_HOLDER))
    await page.locator("form button").click()
    await expect(page.locator("form [role=alert]")).to_have_text(re.compile("他人的证书|somebody else"))
    await expect(page.locator("#presented")).to_have_value("HC1:NCFOXN")
    phone.mesh.refusing = None
    await page.locator("form button").click()
    done = page.locator("#sheetBody [role=status]")
    await expect(done).to_have_text(re.compile("已记入|Kept in"))
    await expect(done).to_be_focused()
    assert 2 == phone.mesh.calls["present"]


SCANNED = """
window.BarcodeDetector = class {
  async detect() { return window.seen ? [{ rawValue: window.seen }] : []; }
};
const stream = document.createElement("canvas");
// Without frames a video does not begin.
setInterval(() => stream.getContext("2d").fillRect(Math.random() * 9, 0, 9, 9), 50);
window.streams = [];
navigator.mediaDevices.getUserMedia = async () => {
  if (window.refuses) throw new DOMException("", "NotAllowedError");
  const made = stream.captureStream(5);
  window.streams.push(made);
  return made;
};
"""
LIVE = "() => window.streams.flatMap(one => one.getTracks()).filter(one => one.readyState === 'live').length"


async def test_a_certificate_is_scanned_with_the_camera(phone: Phone) -> None:
    """The page says what is no certificate, puts one that is into the form, and switches the camera off again, also
    when the sheet is closed; without a camera the text can be pasted."""
    await phone.context.add_init_script(SCANNED)
    page = await phone.holder()
    await page.locator("[data-action=results]").click()
    await page.locator("[data-present]").click()
    await page.locator("[data-camera]").click()
    await expect(page.locator("#sheetBody video")).to_be_visible()
    await page.evaluate("window.seen = 'https://example.cn'")
    await expect(page.locator("#sheetBody [role=alert]")).to_have_text("这不是检测证明的二维码。")
    await page.evaluate("window.seen = 'HC1:NCFOXN'")
    await expect(page.locator("#presented")).to_have_value("HC1:NCFOXN")
    await expect(page.locator("#sheetBody button.main")).to_be_focused()
    await expect(page.locator("#sheetBody video")).to_be_hidden()
    assert 0 == await page.evaluate(LIVE)
    # Nothing more is seen, so that the camera stays on until the sheet is closed.
    await page.evaluate("window.seen = ''")
    await page.locator("[data-camera]").click()
    await page.wait_for_function(f"() => ({LIVE})() === 1")
    await page.locator("#close").click()
    await page.wait_for_function(f"() => ({LIVE})() === 0")
    await page.evaluate("window.refuses = true")
    await page.locator("[data-action=results]").click()
    await page.locator("[data-present]").click()
    await page.locator("[data-camera]").click()
    await expect(page.locator("#sheetBody [role=alert]")).to_have_text("相机打不开：请粘贴证明的文本。")
