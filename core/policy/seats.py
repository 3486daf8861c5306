"""Who fills which seat of a quorum, so that nobody fills two and nobody stands in another's way."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def fill(seats: Sequence[tuple[str, int]], people: Sequence[Collection[str]]) -> list[list[int]]:
    """As many seats as can be filled at once.

    `seats` are (group, how many of it), `people` the groups of each person. Returns, for every seat, the numbers of the
    people in it. Somebody seated early stays seated, maybe elsewhere: if Bob is in both groups and Carol in one, Bob
    moves over for her. (Maximum bipartite matching by augmenting paths.)
    """
    taken: list[list[int]] = [[] for _ in seats]

    def place(person: int, tried: set[int]) -> bool:
        for seat, (group, at_least) in enumerate(seats):
            if group not in people[person] or seat in tried or at_least == 0:
                continue
            tried.add(seat)
            if len(taken[seat]) < at_least:
                taken[seat].append(person)
                return True
            for index, other in enumerate(taken[seat]):
                if place(other, tried):
                    taken[seat][index] = person
                    return True
        return False

    for person in range(len(people)):
        place(person, set())
    return [sorted(seated) for seated in taken]
