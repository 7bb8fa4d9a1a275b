"""What every contract limits in the same way, refused for the same reasons: batches, pages, scopes.

The reasons are stable, for callers to act upon: BATCH_SIZE, PAGE_SIZE, PAGE_TOKEN, SCOPE_REQUIRED, SCOPE_UNKNOWN.
"""

from hutong.lookup.v1.region_pb2 import Scope

from services.common.errors import InvalidArgument, invalid

MOST_IN_BATCH = 1_000
DEFAULT_PAGE = 100
MOST_ON_PAGE = 1_000

_SCOPES = frozenset((Scope.SCOPE_LOCAL, Scope.SCOPE_NATIONAL))


def check_batch(count: int, field: str, most: int = MOST_IN_BATCH) -> None:
    """Raises InvalidArgument (BATCH_SIZE) unless a batch has 1 to `most` items."""
    if not 1 <= count <= most:
        raise invalid(field, "BATCH_SIZE", f"每批应有1至{most}项", f"A batch has 1 to {most} items")


def page_size(asked: int, default: int = DEFAULT_PAGE, most: int = MOST_ON_PAGE) -> int:
    """How many to return: 0 stands for the default, and never more than `most`. Raises InvalidArgument (PAGE_SIZE)
    when negative."""
    if asked < 0:
        raise bad_page_size()
    return min(asked or default, most)


def bad_page_size() -> InvalidArgument:
    """The size of a page is negative, or no number the contract can carry."""
    return invalid("page_size", "PAGE_SIZE", "每页数量超出范围", "The page size is out of range")


def bad_page_token() -> InvalidArgument:
    """The token is not one of this question's."""
    return invalid("page_token", "PAGE_TOKEN", "分页令牌无效或与请求不符", "The page token is not of this request")


def check_scope(scope: int, field: str = "scope", *, required: bool = False) -> None:
    """Raises InvalidArgument: SCOPE_UNKNOWN for a number that is no scope, SCOPE_REQUIRED for none where one is."""
    if scope in _SCOPES or not (scope or required):
        return
    reason = "SCOPE_UNKNOWN" if scope else "SCOPE_REQUIRED"
    raise invalid(field, reason, "范围应为 LOCAL 或 NATIONAL", "The scope is LOCAL or NATIONAL")
