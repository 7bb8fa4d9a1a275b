"""One browser for all tests of the pages, and a phone in it for each."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.testkit.browser import CHINESE, Phone, chromium, phone_with_gateway


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """A Chromium."""
    async with chromium() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="session")
async def phone(browser: Browser, request: pytest.FixtureRequest) -> AsyncIterator[Phone]:
    """A phone at a gateway of its own, in Chinese where a test says nothing else."""
    async with phone_with_gateway(browser, getattr(request, "param", CHINESE)) as opened:
        yield opened
