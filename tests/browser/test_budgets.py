"""The pages hold their budgets: bytes, things that move while they come, and whom they ask."""

import gzip
import re

import pytest
from playwright.async_api import expect

from tests.testkit.browser import Phone

pytestmark = pytest.mark.asyncio(loop_scope="session")
PAGE_BYTES = 60_000
MOST_SHIFT = 0.02
"""A fifth of what the Web Vitals call good (0.1)."""
OBSERVED = """
window.shift = 0;
new PerformanceObserver(list => {
  for (const one of list.getEntries()) if (!one.hadRecentInput) window.shift += one.value;
}).observe({ type: "layout-shift", buffered: true });
"""
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"


@pytest.mark.parametrize("path", ["/", "/check"])
async def test_pages_are_light_and_stand_still(phone: Phone, path: str) -> None:
    """Compressed, each is below the budget, with all that it needs; it asks nobody but the gateway; nothing moves while
    it comes, when the code comes, and when the page is opened again. First paint is measured, and no test of it."""
    asked: list[str] = []
    phone.context.on("request", lambda request: asked.append(request.url))
    await phone.context.add_init_script(OBSERVED)
    page = await phone.page(path)
    if path == "/":
        await page.locator("#people button").first.click()
        await expect(page.locator("#face")).to_have_attribute("data-state", "LIVE")
    for _ in range(2):
        await page.wait_for_timeout(300)
        shift = await page.evaluate("window.shift")
        print(f"{path}: first paint {await page.evaluate(PAINT)} ms, layout shift {shift:.4f}")  # noqa: T201  # measured
        assert MOST_SHIFT > shift
        await page.reload()
    weight = len(gzip.compress(await (await phone.context.request.get(path)).body()))
    print(f"{path}: {weight} B compressed")  # noqa: T201  # measured
    assert PAGE_BYTES > weight
    hosts = {re.sub(r"^(\w+:(//[^:/]+)?).*", r"\1", url) for url in asked}
    assert hosts <= {"http://127.0.0.1", "data:"}
