"""Suppression of small figures in what is published, so that no sum gives one away. Pure.

A family is figures of one kind whose total is published with them: here the places of one region on one day. A figure
from 1 to 4 is hidden. With the total, one hidden figure would be told by what is left; so others are hidden as well,
until every small one could be anything from 1 to 4 as far as the total tells, or else the total is hidden too.

Others are taken in an order that does not depend on the figures: the rule is public, and who knows it must not learn
from the choice. Zeros are published: they are about nobody.
"""

from collections.abc import Sequence
from typing import NamedTuple

LEAST = 5
"""The least figure above 0 that may be published."""


class Hidden(NamedTuple):
    """The places of hidden figures in their family, and whether the total is hidden."""

    places: frozenset[int]
    total: bool


def hidden(family: Sequence[int], order: Sequence[int], least: int = LEAST) -> Hidden:
    """Returns what of a family to hide. `order` are its places, in the order in which further ones are taken."""
    small = [place for place, number in enumerate(family) if 0 < number < least]
    if not small:
        return Hidden(frozenset(), False)
    places, left_over = list(small), sum(family[place] for place in small)
    further = 0
    for place in order:
        if family[place] < least:
            continue
        places.append(place)
        left_over += family[place]
        further += 1
        # One small figure at its greatest, the other small ones at 1, the further ones at their least.
        if left_over >= (least - 1) + (len(small) - 1) + least * further:
            return Hidden(frozenset(places), False)
    return Hidden(frozenset(places), True)
