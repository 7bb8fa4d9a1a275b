"""Step 4, the national notice: a negative result from any channel and any origin has equal force inside the region's
own window, counted from its report (国务院联防联控机制, 2022-07-29).

It binds whatever the region's clauses say. A region that does not carry it out refuses, and the refusal is counted.
"""

from msgspec import Struct

from services.verdict.domain.rules.clauses import Clause


class NoticeRule(Struct, frozen=True):
    """The way a region carries the notice out. `clause` is its own window in a clause's form: any origin, any channel,
    any tube, from the report on."""

    enforce: bool
    clause: Clause
