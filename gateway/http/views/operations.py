"""The answers to operators and their machines."""

from typing import Annotated

from gateway.http.fields import described
from gateway.http.views.answer import Answer


class Alive(Answer, frozen=True):
    """进程存活。 The process answers."""

    status: Annotated[str, described("ALIVE", enum=["ALIVE"])]


class Ready(Answer, frozen=True):
    """就绪；DEGRADED 为慢而不错。 Ready; DEGRADED is slower, not wrong."""

    status: Annotated[str, described("READY 或 DEGRADED。", enum=["READY", "DEGRADED"])]
    components: Annotated[
        dict[str, str],
        described("组件及其问题，空为正常。 Components, and what is wrong with each; empty when nothing is."),
    ]
