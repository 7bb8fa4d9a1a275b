"""Pages of lists that have a natural order: the token is the last item's place in it."""

from services.common.errors import invalid

USUAL_SIZE = 100


def page_size(asked: int, usual: int = USUAL_SIZE) -> int:
    """The size of a page; 0 means the usual. Raises InvalidArgument (PAGE_SIZE) when negative."""
    if asked < 0:
        raise invalid("page_size", "PAGE_SIZE", "每页条数不能为负", "The page size cannot be negative")
    return asked or usual
