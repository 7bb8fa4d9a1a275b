"""Notices that a stream has gone silent: who promises a sign of life each second and gives none is cut off."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import TypeVar, cast

from services.common.errors import Unavailable

Item = TypeVar("Item")


async def alive(stream: AsyncIterator[Item], *, silence_seconds: float) -> AsyncGenerator[Item, None]:
    """Yields what a stream that should never end yields, and closes it afterwards. Raises Unavailable: FEED_SILENT when
    nothing came for so long, FEED_ENDED when it ended."""
    async with aclosing(cast(AsyncGenerator[Item, None], stream)) as items:
        while True:
            try:
                async with asyncio.timeout(silence_seconds):
                    item = await anext(items)
            except TimeoutError:
                raise Unavailable("FEED_SILENT", "变更流没有声息", "The feed gives no sign of life") from None
            except StopAsyncIteration:
                raise Unavailable("FEED_ENDED", "变更流已结束", "The feed has ended") from None
            yield item
