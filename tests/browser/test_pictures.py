"""Each page and state has its picture in docs/pages.md, in both languages: `PICTURES=1` makes them anew, and
`PICTURES=green,stale` these alone."""

import asyncio
import os
import re
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from cli.mesh import embedded
from cli.samples.people import PEOPLE
from cli.samples.showing import queries
from tests.testkit.browser import CHINESE, ENGLISH, NARROW, PASS_TEXT, Phone, mesh_of_one, phone_at
from tests.testkit.tools import ROOT

FOLDER = ROOT / "docs" / "pictures"
PAGE = ROOT / "docs" / "pages.md"
LANGUAGES = {"zh": CHINESE, "en": ENGLISH}
MOST_BYTES = 2_400_000
ORDER = [person.key for person in PEOPLE]
TO_WEBP = """async png => {
  const image = await createImageBitmap(await (await fetch("data:image/png;base64," + png)).blob());
  const canvas = new OffscreenCanvas(image.width, image.height);
  canvas.getContext("2d").drawImage(image, 0, 0);
  const bytes = new Uint8Array(await (await canvas.convertToBlob({ type: "image/webp", quality: 0.5 })).arrayBuffer());
  return btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), ""));
}"""
Show = Callable[[Phone], Awaitable[Page]]


def signed_in(key: str) -> Show:
    """Returns what shows a sample person's code."""

    async def show(phone: Phone) -> Page:
        page = await phone.page("/")
        await page.locator("#people button").nth(ORDER.index(key)).click()
        await expect(page.locator("#face")).to_have_attribute("data-state", "LIVE")
        return page

    return show


def altered(script: str, key: str = "beijing") -> Show:
    """Returns what shows a code that the page was given otherwise."""

    async def show(phone: Phone) -> Page:
        page = await signed_in(key)(phone)
        await page.evaluate(script + "; draw()")
        return page

    return show


def judged(status: str, colour: str, zh: str, en: str) -> Show:
    """Returns what shows a code of a status and a colour, with a reason."""
    text = f"{{text: {{zh: '{zh}', en: '{en}'}}}}"
    return altered(
        f"Object.assign(last.code, {{status: '{status}', colour: '{colour}', validUntil: null, daysSinceTest: null,"
        f" grounds: [], reasons: [{text}]}})"
    )


def sheet(action: str, key: str) -> Show:
    """Returns what shows a sheet of a sample person's code."""

    async def show(phone: Phone) -> Page:
        page = await signed_in(key)(phone)
        await page.locator(f"[data-action={action}]").click()
        await expect(page.locator("#sheetBody")).not_to_have_text(re.compile("正在更新|Updating"))
        return page

    return show


def of_results(button: str, filled: str = "") -> Show:
    """Returns what shows what a button of the results of a sample person opens, with a text filled in and sent."""

    async def show(phone: Phone) -> Page:
        page = await sheet("results", "hunan")(phone)
        await page.locator(button).first.click()
        if filled:
            await page.locator("#presented").fill(filled)
            await page.locator("form button").click()
            await expect(page.locator("form [role=alert]")).not_to_have_text("")
        else:
            await expect(page.locator("#sheetBody")).not_to_have_text(re.compile("正在更新|Updating"))
        return page

    return show


async def entry(phone: Phone) -> Page:
    """Shows the choice of a sample person."""
    page = await phone.page("/")
    await page.locator("#people button").first.wait_for()
    return page


async def offline(phone: Phone) -> Page:
    """Shows a code whose network is gone."""
    page = await signed_in("beijing")(phone)
    await phone.context.set_offline(True)
    await page.evaluate("last.asked -= 100_000")
    await expect(page.locator("#note")).not_to_have_text("")
    return page


def venue(scene: str = "0", script: str = "", key: str | None = None) -> Show:
    """Returns what shows the venue's page, after a person's pass or a script, with `pass_` for the pass's text."""

    async def show(phone: Phone) -> Page:
        text = await (await signed_in(key or "beijing")(phone)).evaluate(PASS_TEXT)
        page = await phone.venue(scene)
        checked = "await check(pass_)" if key else ""
        await page.evaluate(f"async pass_ => {{ await busy; {script}; {checked} }}", text)
        return page

    return show


def supervision(view: str, region: str = "", *, opens: bool = False) -> Show:
    """Returns what shows the supervisor a view of how the sample people fared, in a region, and what a button of its
    table opens."""

    async def show(phone: Phone) -> Page:
        await phone.context.request.post("/v1/healthCode:batchShow", data={"queries": queries()})
        page = await phone.page("/supervision")
        await page.locator("#sample").click()
        await page.locator(f"[data-view={view}]").click()
        if region:
            await page.select_option("#region", region)
        await expect(page.locator("#note")).to_have_text("")
        if opens:
            await page.locator("#table tbody button").first.click()
            await expect(page.locator("#sheet")).to_be_visible()
        return page

    return show


async def supervision_entry(phone: Phone) -> Page:
    """Shows how a supervisor signs in."""
    page = await phone.page("/supervision")
    await page.locator("#sample").wait_for()
    return page


async def answered(phone: Phone) -> Page:
    """Shows what a person asked to have corrected, and the laboratory's answer."""
    page = await signed_in("hunan")(phone)
    record = (await page.evaluate("listResults()"))["results"][0]["record"]
    asked = {name: record[name] for name in ("region", "sourceId", "revision", "laboratory")} | {
        "id": "1f0c6a52b9d3e847",
        "kind": "WRONG_TIME",
        "text": "是前一天晚上采的",
        "requestedAt": record["reportedAt"],
        "laterRevision": None,
        "answer": {
            "answer": "STANDS",
            "correctedBy": None,
            "forwardedTo": None,
            "text": "采样点记录为当天早上八点",
            "answeredAt": record["reportedAt"],
        },
    }
    answer = {"correctionRequests": [asked], "coverage": []}
    await phone.context.route("**/v1/corrections:list", lambda route: route.fulfill(json=answer))
    await page.locator("[data-action=results]").click()
    await page.locator("#sheetBody .said").wait_for()
    return page


def dark(show: Show) -> Show:
    """Returns what shows the same in the dark scheme."""

    async def shown(phone: Phone) -> Page:
        page = await show(phone)
        await page.emulate_media(color_scheme="dark")
        return page

    return shown


def narrow(show: Show) -> Show:
    """Returns what shows the same on a phone of 320 pixels."""

    async def shown(phone: Phone) -> Page:
        page = await show(phone)
        await page.set_viewport_size(NARROW)
        return page

    return shown


ENDED = "Its window, counted from sampling, has ended"
STALE = "last.code.freshness = 'STALE'; last.at -= 5400000"
EXPIRED = "last.code.validUntil = last.code.at; last.at -= 90000000"
NO_KEYS = "gate.bundle = trust = null; draw()"
FORGED = "show({ reason: 'SIGNATURE_WRONG' })"
USED = "await check(pass_); gate.seen.forEach((at, nonce) => gate.seen.set(nonce, at - 9)); await check(pass_)"
STATES: Mapping[str, tuple[str, str, Show]] = {
    "enter": ("登录", "Signing in", entry),
    "green": ("绿码", "Green", signed_in("beijing")),
    "yellow": ("黄码", "Yellow", signed_in("suspended")),
    "orange": (
        "橙码", "Orange",
        judged("RETEST_REQUIRED", "ORANGE", "所在混管结果为阳性，须单人单管复检",
               "The pooled tube was positive; a single retest is owed"),
    ),
    "red": ("红码", "Red", signed_in("positive")),
    "grey": ("灰码", "Grey", judged("NOT_RECOGNISED", "GREY", "自采样起计的有效期已届满", ENDED)),
    "waiting": ("等待结果", "Awaiting a result", signed_in("pending")),
    "undetermined": (
        "暂时无法判定", "Undetermined",
        judged("UNDETERMINED", "GREY", "湖南省未能应答；稍后再试", "Hunan did not answer; try again later"),
    ),
    "not-required": (
        "不查核酸", "Not required", judged("NOT_REQUIRED", "GREEN", "此处不要求核酸检测", "No test is required here")
    ),
    "offline": ("离线，码仍在有效期内", "Offline, the code still lives", offline),
    "stale": ("旧码", "Old code", altered(STALE)),
    "expired": ("已失效", "Expired", altered(EXPIRED)),
    "family": ("家人", "Family", signed_in("guardian")),
    "why": ("为什么", "Why", sheet("why", "henan")),
    "where": ("能去哪", "Where to", sheet("where", "sichuan")),
    "results": ("检测结果", "Results", sheet("results", "hunan")),
    "correction": ("纠错与答复", "A correction and its answer", answered),
    "certificate": ("检测证明", "Certificate", of_results("[data-certificate]")),
    "present": ("出示外地证明", "Presenting a certificate", of_results("[data-present]")),
    "present-refused": (
        "证明未通过核验", "A certificate that is not believed",
        of_results("[data-present]", "HC1:NCFOXN"),
    ),
    "missing": ("还缺什么", "What is missing", sheet("missing", "overdue")),
    "looks": ("谁查过我", "Who looked", sheet("looks", "beijing")),
    "venue-ready": ("场所：等候", "Venue: ready", venue()),
    "venue-pass": ("场所：放行", "Venue: pass", venue(key="beijing")),
    "venue-red": ("场所：红码", "Venue: red", venue(key="positive")),
    "venue-forged": ("场所：伪造", "Venue: forged", venue(script=FORGED)),
    "venue-used": ("场所：截图", "Venue: screenshot", venue(script=USED)),
    "venue-place": ("场所：未按本场所判定", "Venue: not judged for this place", venue("9", key="beijing")),
    "venue-clock": ("场所：时钟不准", "Venue: clock off", venue(script="clockOff = true", key="beijing")),
    "venue-no-keys": ("场所：没有公钥", "Venue: no keys", venue(script=NO_KEYS, key="beijing")),
    "venue-queue": ("场所：排队", "Venue: queue", venue(script="await queue()", key="beijing")),
    "supervision-enter": ("监督：登录", "Supervision: signing in", supervision_entry),
    "supervision-figures": ("监督：认可情况", "Supervision: recognition", supervision("figures")),
    "supervision-refusals": ("监督：未认可", "Supervision: refusals", supervision("refusals")),
    "supervision-reopened": ("监督：重开", "Supervision: opened again", supervision("refusals", opens=True)),
    "supervision-policies": ("监督：严于通知的规则", "Supervision: stricter policies", supervision("policies")),
    "supervision-laboratories": ("监督：检测机构", "Supervision: laboratories", supervision("laboratories")),
    "supervision-overdue": ("监督：逾期样本", "Supervision: overdue samples", supervision("overdue", "430000")),
    "supervision-conflicts": ("监督：冲突", "Supervision: conflicts", supervision("conflicts", "110000")),
    "supervision-settling": (
        "监督：处理冲突", "Supervision: settling a conflict", supervision("conflicts", "110000", opens=True)
    ),
    "green-dark": ("绿码，深色", "Green, dark", dark(signed_in("beijing"))),
    "red-dark": ("红码，深色", "Red, dark", dark(signed_in("positive"))),
    "stale-dark": ("旧码，深色", "Old code, dark", dark(altered(STALE))),
    "expired-dark": ("已失效，深色", "Expired, dark", dark(altered(EXPIRED))),
    "correction-dark": ("纠错与答复，深色", "A correction and its answer, dark", dark(answered)),
    "venue-pass-dark": ("场所：放行，深色", "Venue: pass, dark", dark(venue(key="beijing"))),
    "venue-used-dark": ("场所：截图，深色", "Venue: screenshot, dark", dark(venue(script=USED))),
    "green-narrow": ("绿码，320 像素", "Green, 320 pixels", narrow(signed_in("beijing"))),
    "stale-narrow": ("旧码，320 像素", "Old code, 320 pixels", narrow(altered(STALE))),
    "expired-narrow": ("已失效，320 像素", "Expired, 320 pixels", narrow(altered(EXPIRED))),
    "correction-narrow": ("纠错与答复，320 像素", "A correction and its answer, 320 pixels", narrow(answered)),
    "venue-pass-narrow": ("场所：放行，320 像素", "Venue: pass, 320 pixels", narrow(venue(key="beijing"))),
    "venue-used-narrow": ("场所：截图，320 像素", "Venue: screenshot, 320 pixels", narrow(venue(script=USED))),
}  # fmt: skip
"""By name: what a state is called in both languages, and what shows it."""


def pictures() -> list[Path]:
    """Returns the path of each picture."""
    return [FOLDER / f"{name}-{language}.webp" for name in STATES for language in LANGUAGES]


def page() -> str:
    """Returns docs/pages.md."""
    rows = [
        f"| {zh} | {en} | ![{zh}](pictures/{name}-zh.webp) | ![{en}](pictures/{name}-en.webp) |"
        for name, (zh, en, _) in STATES.items()
    ]
    return (
        "# 网页 Pages\n\n"
        "What a holder (`/`), a venue (`/check`) and a supervisor (`/supervision`) see, at the size of a phone, some\n"
        "of it in the dark and on a phone of 320 pixels. `PICTURES=1 python -m pytest tests/browser/test_pictures.py`\n"
        "makes the pictures and this page, from a mesh in one process.\n\n"
        "| 状态 | State | 中文 | English |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
    )


def test_every_state_has_its_picture() -> None:
    """Each is there, none is left over, all together are small, and the page lists them."""
    assert sorted(pictures()) == sorted(FOLDER.iterdir())
    assert all(path.read_bytes()[8:12] == b"WEBP" for path in pictures())
    assert MOST_BYTES > sum(path.stat().st_size for path in pictures())
    assert page() == PAGE.read_text(encoding="utf-8")


@pytest.mark.skipif("PICTURES" not in os.environ, reason="PICTURES=1 makes the pictures, PICTURES=NAME one of them")
@pytest.mark.timeout(1500)
@pytest.mark.asyncio(loop_scope="session")
async def test_the_pictures_are_made(browser: Browser, tmp_path: Path) -> None:
    """Each state is shown by the page itself."""
    FOLDER.mkdir(exist_ok=True)
    async with embedded(tmp_path, samples=True) as mesh:
        port = int(mesh.http.rpartition(":")[2])
        converter = await browser.new_page()
        for language, locale in LANGUAGES.items():
            for name, (_, _, show) in STATES.items():
                if os.environ["PICTURES"] != "1" and name not in os.environ["PICTURES"].split(","):
                    continue
                async with phone_at(browser, mesh_of_one(), port, locale, device_scale_factor=1) as phone:
                    shown = await show(phone)
                    await asyncio.sleep(0.1)
                    png = b64encode(await shown.screenshot()).decode()
                webp = b64decode(await converter.evaluate(TO_WEBP, png))
                (FOLDER / f"{name}-{language}.webp").write_bytes(webp)
        await converter.close()
    PAGE.write_text(page(), encoding="utf-8")
