"""The smallest selector that picks a workload's endpoints and no others of its namespace.

A selector is a set of conditions on label keys. Which conditions may be used is tried in steps, each wider than the
last, until the workload is told from everything else exactly; in a step the fewest conditions win, then labels whose
value is the workload's own name, then the keys that people read first.

| step | adds                                                                                                 |
|------|------------------------------------------------------------------------------------------------------|
| 0    | labels that all its endpoints share, stable, never seen to vary, no machine-made value                |
| 1    | such a key that the others do not have (Exists), or that only they have (DoesNotExist)                |
| 2    | the service account, and values that look machine-made but did not vary                               |
| 3    | that a key which changes per run is there or not: what it says changes, that it is there does not     |
| 4    | values of a label that was seen to vary within some workload, where they are words and few            |

Values that change per pod, run or rollout are never named: where only they would tell a workload from others, the
tightest selector without them is chosen and what it selects too many is told. Keys and values that Kubernetes has no
place for, of a corrupt capture, are never named either.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from flowmine.labels import SERVICE_ACCOUNT_KEY, is_stable_key
from flowmine.policy import limits
from flowmine.policy.model import Operator, Requirement, Selector
from flowmine.policy.selector import split_key
from flowmine.synth.naming import is_word, looks_generated
from flowmine.synth.subjects import Workload, Workloads
from flowmine.synth.universe import Party, Universe

__all__ = ["Choice", "choose", "selector_of"]

_READABLE = (
    "app.kubernetes.io/name",
    "app",
    "k8s-app",
    "name",
    "app.kubernetes.io/component",
    "component",
    "tier",
    "role",
    "service",
    "app.kubernetes.io/instance",
    "instance",
    "release",
    "app.kubernetes.io/part-of",
)
_PER_RUN_WORDS = frozenset(
    [
        "hash",
        "checksum",
        "revision",
        "uid",
        "uuid",
        "timestamp",
        "run-id",
        "runid",
        "build",
        "commit",
        "sha",
        "version",
        "generation",
        "attempt",
    ]
)
_STEPS = 5
_LAST_EXACT_STEP = 3
_TRIES = ((0, True), (1, True), (2, True), (3, True), (3, False), (4, True))
"""Steps in their order, and whether a selector must name something that is there."""
_MOST_CONDITIONS = 4
_MOST_VALUES = 4
_MOST_TRIED = 14


@dataclass(frozen=True, slots=True, order=True)
class _Condition:
    """One condition with what it costs: the step that admits it, and how early people would read its key."""

    step: int
    rank: int
    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def holds(self, keys: Mapping[str, str]) -> bool:
        if self.operator is Operator.EXISTS:
            return self.key in keys
        if self.operator is Operator.DOES_NOT_EXIST:
            return self.key not in keys
        return self.key in keys and keys[self.key] in self.values


@dataclass(frozen=True, slots=True)
class Choice:
    """The selector chosen for a workload, within its namespace.

    ``over`` names the workloads that it selects although it is not theirs, ``caught`` are their endpoints; ``fragile`` tells that it names
    values were seen to vary within the workload, so that one not seen yet would escape it.
    """

    selector: Selector
    over: tuple[str, ...] = ()
    caught: tuple[int, ...] = ()
    fragile: bool = False


def choose(universe: Universe, workloads: Workloads) -> tuple[Choice, ...]:
    """Choose a selector for every workload, in the order of ``workloads.items``."""
    homes: dict[tuple[str, str], list[Party]] = defaultdict(list)
    for party in universe.pods():
        homes[party.cluster, party.namespace].append(party)
    indexes = {home: _Index(parties) for home, parties in homes.items()}
    return tuple(
        indexes[item.cluster, item.namespace].choose(item, workloads, universe) for item in workloads.items
    )


def selector_of(conditions: Iterable[tuple[str, Operator, tuple[str, ...]]]) -> Selector:
    """Return conditions as a selector: one value by `matchLabels`, everything else by `matchExpressions`."""
    listed = list(conditions)
    labels = {key: values[0] for key, op, values in listed if op is Operator.IN and len(values) == 1}
    rest = [
        Requirement(key, op, values)
        for key, op, values in listed
        if not (op is Operator.IN and len(values) == 1)
    ]
    return Selector.of(labels, *rest)


class _Index:
    """The pods of one namespace; which of them a condition holds for is a bit set, worked out once."""

    def __init__(self, parties: Sequence[Party]) -> None:
        self._parties = sorted(parties, key=lambda party: party.id)
        self._places = {party.id: place for place, party in enumerate(self._parties)}
        self._having: dict[str, int] = defaultdict(int)
        self._being: dict[tuple[str, str], int] = defaultdict(int)
        for place, party in enumerate(self._parties):
            for key, value in party.keys.items():
                self._having[key] |= 1 << place
                self._being[key, value] |= 1 << place
        self._all = (1 << len(self._parties)) - 1

    def choose(self, item: Workload, workloads: Workloads, universe: Universe) -> Choice:
        mine = [universe.parties[endpoint] for endpoint in item.endpoints]
        others = self._all & ~sum(1 << self._places[party.id] for party in mine)
        conditions = sorted(
            self._conditions(
                item, mine, {key for cluster, key in workloads.varying if cluster == item.cluster}
            )
        )
        for step, positive in _TRIES:
            usable = [each for each in conditions if each.step <= step]
            found = self._smallest(usable, others, positive=positive)
            if found is not None:
                return Choice(_written(found), fragile=step > _LAST_EXACT_STEP)
        return self._tightest([each for each in conditions if each.step <= _LAST_EXACT_STEP], others)

    def _conditions(
        self, item: Workload, mine: list[Party], varying: Collection[str]
    ) -> Iterable[_Condition]:
        ranks = {key: place for place, key in enumerate(_READABLE)}
        for key in filter(_is_writable_key, sorted(self._having)):
            values = sorted({party.keys[key] for party in mine if key in party.keys})
            everyone = all(key in party.keys for party in mine)
            stable = is_stable_key(key)
            rank = ranks.get(key, len(_READABLE)) + len(_READABLE) * (values != [item.name])
            if not values:
                yield _Condition(1 if stable else 3, rank, key, Operator.DOES_NOT_EXIST)
            elif everyone:
                step = _value_step(key, values, varying)
                if not any(map(limits.label_value, values)):
                    yield _Condition(step, rank, key, Operator.IN, tuple(values))
                yield _Condition(1 if stable else 3, rank, key, Operator.EXISTS)

    def _smallest(
        self, conditions: list[_Condition], others: int, *, positive: bool
    ) -> list[_Condition] | None:
        """Return the fewest conditions, one of them positive, that none of the others fulfil; None where none do."""
        masks = {each: self._mask(each) & others for each in conditions}
        helpful = [each for each in conditions if masks[each] != others or each.operator is Operator.IN]
        every = others
        for each in helpful:
            every &= masks[each]
        if every:
            return None
        tried = _most_telling(helpful, masks)
        for size in range(1, min(_MOST_CONDITIONS, len(tried)) + 1):
            exact = [
                combination
                for combination in combinations(tried, size)
                if _joint(combination, masks, others) == 0 and (_is_positive(combination) or not positive)
            ]
            if exact:
                return list(min(exact, key=_cost))
        return _greedy(helpful, masks, others, positive=positive)

    def _tightest(self, conditions: list[_Condition], others: int) -> Choice:
        masks = {each: self._mask(each) & others for each in conditions}
        found = _greedy(conditions, masks, others, positive=False) or []
        left = _joint(found, masks, others)
        caught = [party for place, party in enumerate(self._parties) if left >> place & 1]
        over = sorted({party.title for party in caught})
        return Choice(_written(found), over=tuple(over), caught=tuple(party.id for party in caught))

    def _mask(self, condition: _Condition) -> int:
        if condition.operator is Operator.EXISTS:
            return self._having[condition.key]
        if condition.operator is Operator.DOES_NOT_EXIST:
            return self._all & ~self._having[condition.key]
        mask = 0
        for value in condition.values:
            mask |= self._being.get((condition.key, value), 0)
        return mask


def _is_writable_key(key: str) -> bool:
    """Tell whether a policy may hold a key: Cilium checks it with its source before it, and a capture can hold any."""
    return limits.qualified_name(".".join(split_key(key))) is None


def _value_step(key: str, values: list[str], varying: Collection[str]) -> int:
    """Return from which step on the values of a key may be named."""
    if not is_stable_key(key):
        return _STEPS
    if len(values) > 1 or key in varying:
        return 4 if all(map(is_word, values)) and len(values) <= _MOST_VALUES else _STEPS
    words = key.rpartition("/")[2].lower().replace("_", "-").replace(".", "-")
    per_run = words in _PER_RUN_WORDS or words.rpartition("-")[2] in _PER_RUN_WORDS
    if key == SERVICE_ACCOUNT_KEY or looks_generated(values[0]) or per_run or not values[0]:
        return 2
    return 0


def _most_telling(conditions: list[_Condition], masks: Mapping[_Condition, int]) -> list[_Condition]:
    """Return the conditions worth combining: all of a few, else those that leave the fewest others."""
    if len(conditions) <= _MOST_TRIED:
        return conditions
    ranked = sorted(conditions, key=lambda each: (masks[each].bit_count(), each))
    return sorted(ranked[:_MOST_TRIED])


def _joint(conditions: Iterable[_Condition], masks: Mapping[_Condition, int], others: int) -> int:
    left = others
    for each in conditions:
        left &= masks[each]
    return left


def _is_positive(conditions: Iterable[_Condition]) -> bool:
    return any(each.operator is not Operator.DOES_NOT_EXIST for each in conditions)


def _cost(conditions: Iterable[_Condition]) -> tuple[int, int, tuple[_Condition, ...]]:
    listed = tuple(conditions)
    return sum(each.step for each in listed), sum(each.rank for each in listed), listed


def _greedy(
    conditions: list[_Condition], masks: Mapping[_Condition, int], others: int, *, positive: bool
) -> list[_Condition] | None:
    """Return conditions taken one by one, each the one that rules out most; then those that turned out needless go."""
    starts = [each for each in conditions if each.operator is not Operator.DOES_NOT_EXIST]
    if not starts and (positive or not conditions):
        return None
    chosen = [min(starts or conditions, key=lambda each: ((masks[each] & others).bit_count(), each))]
    left = _joint(chosen, masks, others)
    while left:
        best = min(conditions, key=lambda each: ((masks[each] & left).bit_count(), each))
        if masks[best] & left == left:
            break
        chosen.append(best)
        left &= masks[best]
    for each in sorted(chosen, reverse=True):
        fewer = [other for other in chosen if other is not each]
        if (_is_positive(fewer) or not starts) and fewer and _joint(fewer, masks, others) == left:
            chosen = fewer
    return chosen


def _written(conditions: Iterable[_Condition]) -> Selector:
    return selector_of((each.key, each.operator, each.values) for each in conditions)
