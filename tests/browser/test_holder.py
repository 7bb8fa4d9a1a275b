"""The holder's page in a real Chromium, at phone size."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import pytest
from axe_playwright_python.async_playwright import Axe
from hutong.common.v1.text_pb2 import LocalizedText
from hutong.records.v1.correction_service_pb2 import CorrectionAnswer
from hutong.records.v1.laboratory_pb2 import Laboratory
from hutong.records.v1.record_pb2 import RecordKind
from playwright.async_api import Page, Route, expect

from services.common.errors import Unavailable
from services.common.instants import parse_rfc3339, to_timestamp
from tests.testkit.browser import CHINESE, ENGLISH, NARROW, PASS_TEXT, PHONE, Phone
from tests.testkit.fakes.mesh import PERSON, record

pytestmark = pytest.mark.asyncio(loop_scope="session")
LANGUAGES = pytest.mark.parametrize("phone", [CHINESE, ENGLISH], indirect=True)
STALE_PROBLEM = {"reason": "VERDICT_STALE", "detail": "只知旧的 / Only the last is known", "violations": []}
LABORATORY = Laboratory(
    laboratory="430000-xiangya",
    display_name=LocalizedText(zh="湘雅医院", en="Xiangya Hospital"),
    contact="0731-0000 0000",
)
# What is seen and what is read out, but for what says of itself that it is of the other language.
SPOKEN = """() => {
  const own = document.documentElement.lang.slice(0, 2), said = [document.title];
  for (const one of document.querySelectorAll("body *:not(script)")) {
    if (one.lang && one.lang.slice(0, 2) !== own || !one.checkVisibility()) continue;
    for (const name of ["aria-label", "placeholder", "alt"]) said.push(one.getAttribute(name) || "");
    for (const node of one.childNodes) if (node.nodeType === Node.TEXT_NODE) said.push(node.data);
  }
  return said.join("\\n");
}"""


async def of_one_language(page: Page) -> None:
    """Holds what a page says against its language."""
    said = await page.evaluate(SPOKEN)
    if await page.evaluate("document.documentElement.lang") == "en":
        assert [] == re.findall(r"[\u3400-\u9fff]+", said)
    else:
        # A rule's name is what it is; a laboratory may have a Latin name.
        assert [] == re.findall(r"[A-Za-z]{2,}", said)


@LANGUAGES
async def test_a_click_shows_the_code_and_its_pass(phone: Phone) -> None:
    """The face with its QR code is on the first screen; the pass renews itself; nothing moves when it does."""
    page = await phone.holder()
    await expect(page.locator("#word")).to_have_text(re.compile("^(绿码|Green)$"))
    await expect(page.locator("#image")).to_be_in_viewport(ratio=1)
    await expect(page.locator("#holderName")).to_have_text("张*")
    await expect(page.locator("#until")).to_have_text(re.compile("有效至|Valid until"))
    await expect(page.locator("#count")).to_have_text(re.compile(r"\d"))
    clock = await page.locator("#clock").text_content()
    await expect(page.locator("#clock")).not_to_have_text(clock or "")
    text, box = await page.evaluate(PASS_TEXT), await page.locator("#qr").bounding_box()
    await page.evaluate("last.asked -= 100_000")
    await page.wait_for_function("text => last.pass.text !== text", arg=text)
    assert box == await page.locator("#qr").bounding_box()


@LANGUAGES
async def test_each_language_is_spoken_alone(phone: Phone) -> None:
    """On both pages, signed in and out, in every sheet, and when nobody answers."""
    phone.mesh.laboratories = [LABORATORY]
    entry = await phone.page("/")
    await entry.locator("#people button").first.wait_for()
    await of_one_language(entry)
    await of_one_language(await phone.venue())
    page = await phone.holder()
    await of_one_language(page)
    for button in await page.locator("#actions button").all():
        await button.click()
        await expect(page.locator("#sheetBody")).not_to_have_text(re.compile("正在更新|Updating"))
        await of_one_language(page)
        await page.keyboard.press("Escape")
    await page.evaluate("last.code.status = 'POSITIVE', last.code.colour = 'RED', last.code.validUntil = null")
    await of_one_language(page)
    await phone.context.route("**/v1/passes:issue", lambda route: route.fulfill(status=503, json=STALE_PROBLEM))
    await phone.context.route("**/v1/healthCode:show", lambda route: route.fulfill(status=503, json=STALE_PROBLEM))
    await page.evaluate("last.asked -= 100_000")
    await expect(page.locator("#note")).to_have_text(re.compile("^(只知旧的|Only the last is known)$"))
    await of_one_language(page)


async def test_offline_the_last_code_stays_and_grows_old(phone: Phone) -> None:
    """It is live, with its age, for as long as its pass lives, then an old code, then one that has ended: neither is
    green, neither has a pass. Back online it is live again."""
    page = await phone.holder()
    face = page.locator("#face")
    await phone.context.set_offline(True)
    await page.evaluate("last.asked -= 100_000")
    await expect(page.locator("#note")).not_to_have_text("")
    await expect(face).to_have_attribute("data-state", "LIVE")
    await expect(page.locator("#life")).to_have_text(re.compile(r"离线 · 码是1分前的"))
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
    await expect(face).to_have_attribute("data-state", "LIVE")


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


async def test_a_page_that_is_opened_again_knows_the_code(phone: Phone) -> None:
    """Also when nobody answers: the code, with its age, and still that person's."""
    page = await phone.holder()
    await phone.context.route("**/v1/**", lambda route: route.abort())
    again = await phone.page("/")
    await expect(again.locator("#face")).to_have_attribute("data-state", "LIVE")
    assert await page.evaluate(PASS_TEXT) == await again.evaluate(PASS_TEXT)
    await again.locator("#leave").click()
    assert "null" == await again.evaluate("JSON.stringify(common.get('last'))")


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_phone_whose_clock_is_off_shows_the_servers_time(phone: Phone, hours: int) -> None:
    """By an hour, either way: it says so, and the code is as old as it is."""
    page = await phone.context.new_page()
    await page.clock.install(time=datetime.now(UTC) + timedelta(hours=hours))
    await page.goto("/")
    await page.locator("#people button").first.click()
    await expect(page.locator("#face")).to_have_attribute("data-state", "LIVE")
    await expect(page.locator("#note")).to_have_text("手机时钟不准，已按服务器时间显示。")
    off = await page.evaluate("Math.abs(now() - Date.parse(last.pass.issuedAt))")
    assert 600_000 > off


async def test_a_token_that_ended_is_had_again(phone: Phone) -> None:
    """The code that is asked for with it comes all the same; where nobody gives one, the person signs in anew."""
    page = await phone.holder()
    ended = {"reason": "TOKEN_EXPIRED", "detail": "令牌已过期 / The token has expired", "violations": []}
    await phone.context.route("**/v1/passes:issue", lambda route: route.fulfill(status=401, json=ended), times=1)
    text = await page.evaluate(PASS_TEXT)
    await page.evaluate("last.asked -= 100_000")
    await page.wait_for_function("text => last.pass.text !== text", arg=text)
    await phone.context.route("**/v1/passes:issue", lambda route: route.fulfill(status=401, json=ended))
    await phone.context.route("**/v1/samplePeople:signIn", lambda route: route.fulfill(status=401, json=ended))
    await page.evaluate("last.asked -= 100_000")
    await expect(page.locator("#hint")).to_have_text("登录已过期，请重新登录。")
    await expect(page.locator("#face")).not_to_be_visible()


async def test_a_positive_has_no_days_that_look_like_a_good_code(phone: Phone) -> None:
    """The number of days stands beside a recognised code alone."""
    page = await phone.holder()
    await page.evaluate("last.code.daysSinceTest = 1, draw()")
    await expect(page.locator("#days")).to_have_text("核酸 1 天")
    await page.evaluate("last.code.status = 'POSITIVE', last.code.colour = 'RED', draw()")
    await expect(page.locator("#word")).to_have_text("阳性")
    await expect(page.locator("#days")).to_have_text("红码")


async def test_what_is_missing_says_whom_to_call(phone: Phone) -> None:
    """A sample that waits: since when, at which laboratory, and its telephone."""
    phone.mesh.records[PERSON] = [
        record(source_id="S2", kind=RecordKind.RECORD_KIND_SAMPLING, result=0, reported_at=None)
    ]
    phone.mesh.laboratories = [LABORATORY]
    page = await phone.holder()
    await page.locator("[data-action=missing]").click()
    sheet = page.locator("#sheetBody")
    await expect(sheet).to_contain_text("湘雅医院")
    await expect(sheet).to_contain_text("等了 10小时")
    await expect(sheet.locator("a")).to_have_attribute("href", "tel:073100000000")


async def test_a_result_that_is_wrong_says_who_can_correct_it(phone: Phone) -> None:
    """The number that names it, and the telephone of the laboratory that reported it."""
    phone.mesh.laboratories = [LABORATORY]
    page = await phone.holder()
    await page.locator("[data-action=results]").click()
    await page.locator("#sheetBody summary").click()
    await expect(page.locator("#sheetBody details code")).to_have_text("S1")
    await expect(page.locator("#sheetBody details a")).to_have_attribute("href", "tel:073100000000")


async def test_what_is_wrong_reaches_the_laboratory_and_its_answer_is_shown(phone: Phone) -> None:
    """It is asked for once, waits, is answered, and the answer appears with its date, in both languages; one that could
    not be sent keeps what was written."""
    phone.mesh.laboratories = [LABORATORY]
    page = await phone.holder()
    await page.locator("[data-action=results]").click()
    details = page.locator("#sheetBody details")
    await details.locator("summary").click()
    await details.locator("select").select_option("WRONG_TIME")
    await details.locator("textarea").fill("是前一天晚上采的")
    phone.mesh.failing = Unavailable("SERVICE_UNREACHABLE", "联系不上湖南", "Hunan cannot be reached")
    await details.locator("form button").click()
    await expect(details.locator("form [role=status]")).to_contain_text("联系不上湖南")
    await expect(details.locator("textarea")).to_have_value("是前一天晚上采的")
    assert [] == phone.mesh.corrections[PERSON]
    phone.mesh.failing = None
    await details.locator("form button").click()
    await expect(details.locator("form [role=status]")).to_contain_text("已送达检测机构")
    await expect(details.locator("li")).to_contain_text("等待检测机构答复")
    [asked] = phone.mesh.corrections[PERSON]
    assert ("430000", "S1", "是前一天晚上采的") == (asked.region, asked.source_id, asked.text)
    await page.keyboard.press("Escape")
    asked.answer, asked.answer_text = CorrectionAnswer.CORRECTION_ANSWER_CORRECTED, "已按采样记录更正"
    asked.corrected_by = 2
    asked.answered_at.CopyFrom(to_timestamp(parse_rfc3339("2022-08-06T09:30:00+08:00")))
    await page.locator("[data-action=results]").click()
    await expect(details.locator("li .said")).to_have_text("已更正（第 2 版），2022-08-06 09:30：已按采样记录更正")
    await clean(page)
    await fits(page)
    await page.keyboard.press("Escape")
    await page.locator("#language").click()
    await page.locator("[data-action=results]").click()
    await expect(details.locator("li .said")).to_have_text("Corrected (revision 2), 2022-08-06 09:30: 已按采样记录更正")


async def test_a_number_in_what_is_written_is_refused(phone: Phone) -> None:
    """And the page says so; nothing is sent on."""
    page = await phone.holder()
    await page.locator("[data-action=results]").click()
    details = page.locator("#sheetBody details")
    await details.locator("summary").click()
    number = await page.evaluate("person().document.number")
    await details.locator("textarea").fill(f"应为 {number}")
    await details.locator("form button").click()
    await expect(details.locator("form [role=status]")).to_contain_text("不得填写证件号码")
    assert [] == phone.mesh.corrections[PERSON]


async def test_a_guardian_shows_each_of_the_family(phone: Phone) -> None:
    """One tap changes over, and another's code is never shown for the one that was chosen."""
    page = await phone.page("/")
    await page.locator("#people button").nth(1).click()
    await expect(page.locator("#face")).to_have_attribute("data-colour", "GREY")
    members = page.locator("#family button")
    await expect(members).to_have_text(["本人", "张三"])
    await members.nth(1).click()
    await expect(page.locator("#face")).to_have_attribute("data-colour", "GREEN")
    await expect(members.nth(1)).to_have_attribute("aria-pressed", "true")
    await expect(page.locator("#holderName")).to_have_text("张*")


async def test_a_person_with_no_mouse_gets_through_all_of_it(phone: Phone) -> None:
    """By the keyboard alone: signing in, why, where to, a claim that goes when it is claimed, what is missing, who
    looked, the switch, the other language, leaving."""
    page = await phone.page("/")
    await page.locator("#people button").first.wait_for()

    async def tab_to(selector: str) -> None:
        for _ in range(60):
            if await page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
            await page.keyboard.press("Tab")
        raise AssertionError(f"no Tab reaches {selector}")

    await tab_to("#people button")
    await page.keyboard.press("Enter")
    await expect(page.locator("#face")).to_have_attribute("data-state", "LIVE")
    await expect(page.locator("#face")).to_be_focused()
    for action, shown in (
        ("why", "li"),
        ("where", ".tiles button"),
        ("results", "[data-claim]"),
        ("missing", "p"),
        ("looks", "p"),
    ):
        await tab_to(f"[data-action={action}]")
        await page.keyboard.press("Enter")
        await expect(page.locator(f"#sheetBody {shown}").first).to_be_visible()
        await expect(page.locator("#sheetBody")).not_to_have_text("正在更新……")
        if action == "results":
            await tab_to("#sheetBody [data-claim]")
            await page.keyboard.press("Enter")
            await expect(page.locator("#sheetBody [data-claim]")).to_have_count(0)
            await expect(page.locator("#sheetBody li > [role=status]")).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(page.locator("#sheet")).not_to_be_visible()
        await expect(page.locator(f"[data-action={action}]")).to_be_focused()
    assert 1 == len([one for person, one in phone.mesh.claimed.items() if person[0] == PERSON])
    await tab_to("#language")
    await page.keyboard.press("Enter")
    await expect(page.locator("#title")).to_have_text("Health code")
    await tab_to("#leave")
    await page.keyboard.press("Enter")
    await expect(page.locator("#people button").first).to_be_visible()


async def test_what_was_looked_at_again_and_again_is_told_once(phone: Phone) -> None:
    """A holder's own page asks every few minutes: the venue that looked is seen beside it, also when it is on the next
    page."""

    def access(caller: str, minute: int) -> dict[str, str]:
        at = f"2026-08-06T09:{minute:02d}:00+08:00"
        return {"caller": caller, "method": "ShowHealthCode", "outcome": "OK", "at": at}

    async def accesses(route: Route) -> None:
        if "pageToken" in route.request.url:
            await route.fulfill(json={"accesses": [access("holder", 1), access("region/110000/venue/gate-7", 0)]})
        else:
            often = [access("holder", minute) for minute in (9, 6, 3)]
            await route.fulfill(json={"accesses": often, "nextPageToken": "more/of it"})

    page = await phone.holder()
    await page.route("**/v1/accesses?*", accesses)
    await page.locator("[data-action=looks]").click()
    items = page.locator("#sheetBody li")
    await expect(items).to_have_count(2)
    await expect(items.first).to_contain_text("本人：看健康码 × 4")
    await expect(items.first).to_contain_text("2026-08-06 09:01 – 2026-08-06 09:09")
    await expect(items.last).to_contain_text("gate-7")


async def test_a_sheet_that_was_closed_stays_closed(phone: Phone) -> None:
    """Also when what it asked for comes afterwards."""
    page = await phone.holder()
    going: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def late(route: Route) -> None:
        await going
        await route.fulfill(json={"results": [], "coverage": [], "nextPageToken": None, "laboratories": []})

    await phone.context.route("**/v1/results:list", late)
    async with page.expect_response("**/v1/results:list"):
        await page.locator("[data-action=results]").click()
        await expect(page.locator("#sheet")).to_be_visible()
        await page.keyboard.press("Escape")
        going.set_result(None)
    await page.evaluate("new Promise(done => setTimeout(done, 100))")
    await expect(page.locator("#sheet")).not_to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_on_the_pages(phone: Phone, scheme: str) -> None:
    """On both pages, signed in and out, and on a sheet, in both schemes."""
    entry = await phone.page("/")
    await entry.locator("#people button").first.wait_for()
    holder = await phone.holder()
    for page in (entry, await phone.venue(), holder):
        await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # a literal
        await clean(page)
        await fits(page)
    await holder.locator("[data-action=results]").click()
    await holder.locator("#sheetBody summary").click()
    await clean(holder)


async def test_axe_finds_nothing_on_the_faces(phone: Phone) -> None:
    """On each colour, and on an old and an ended code; their colours are those of every scheme."""
    holder = await phone.holder()
    for colour in ("YELLOW", "ORANGE", "RED", "GREY"):
        await holder.evaluate("colour => { last.asked = now(); last.code.colour = colour; draw(); }", colour)
        await clean(holder)
    await holder.evaluate("last.code.freshness = 'STALE'; last.asked = now(); draw()")
    await clean(holder)
    await fits(holder)
    await holder.evaluate("last.code.validUntil = last.code.at; last.asked = now(); draw()")
    await clean(holder)


async def test_axe_finds_nothing_on_the_sheets(phone: Phone) -> None:
    """Each of them is asked about, and is as wide as the screen."""
    holder = await phone.holder()
    for button in await holder.locator("#actions button").all():
        await button.click()
        await expect(holder.locator("#sheetBody")).not_to_have_text("正在更新……")
        await clean(holder)
        await fits(holder)
        await holder.keyboard.press("Escape")


async def clean(page: Page) -> None:
    """Asks axe about a page."""
    response = (await Axe().run(page)).response
    assert [] == [(one["id"], one["nodes"][0]["html"]) for one in response["violations"]]


async def fits(page: Page) -> None:
    """Tries a page on a narrow phone, and on a phone with letters of twice the size: nothing is scrolled sideways."""
    for size, letters in ((NARROW, ""), (PHONE, "200%"), (PHONE, "")):
        await page.set_viewport_size(size)
        await page.evaluate("letters => { document.documentElement.style.fontSize = letters; }", letters)
        assert size["width"] >= await page.evaluate("document.documentElement.scrollWidth")
