"""The budgets of the pages: bytes, things that move while a page comes, and whom it asks."""

import gzip
import re

from playwright.async_api import Page

from tests.testkit.browser import Phone

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


class Budget:
    """Watches what the pages of a phone ask for and how they move, from before they are opened."""

    def __init__(self, phone: Phone) -> None:
        self._phone = phone
        self._asked: list[str] = []

    async def watch(self) -> None:
        """Begins to watch."""
        self._phone.context.on("request", lambda request: self._asked.append(request.url))
        await self._phone.context.add_init_script(OBSERVED)

    async def hold(self, page: Page, path: str) -> None:
        """Fails where a page that is open moved, or moves when it is opened again, is too heavy when compressed, or
        asked anybody but the gateway. First paint is measured, and no test of it."""
        for _ in range(2):
            await page.wait_for_timeout(300)
            shift = await page.evaluate("window.shift")
            print(f"{path}: first paint {await page.evaluate(PAINT)} ms, layout shift {shift:.4f}")  # noqa: T201  # measured
            assert MOST_SHIFT > shift
            await page.reload()
        weight = len(gzip.compress(await (await self._phone.context.request.get(path)).body()))
        print(f"{path}: {weight} B compressed")  # noqa: T201  # measured
        assert PAGE_BYTES > weight
        hosts = {re.sub(r"^(\w+:(//[^:/]+)?).*", r"\1", url) for url in self._asked}
        assert hosts <= {"http://127.0.0.1", "data:"}
