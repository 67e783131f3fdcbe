"""Why do they leave, all ways of asking taken together, and how sure is that? The verdict, with the unknown in full size.

    found = verdict(facts, definition, first, after, currency="USD")
    found.causes           share of each cause in the customers and the MRR lost, with a 90 % interval; they sum to one
    found.customers()      who was lost: the probable causes of each, with the facts for them

**What is estimated.** A leaver's hazard when he decided was h = h0 + the sum of h_k, one part for each cause. The share of
cause k is h_k / h, summed over those who left; unknown is h0 / h and whatever no method explains. It says how much of the
leaving each cause carried, not who would have stayed without it: that is `avoidable`, which only an experiment or an
event study that passed its own checks can tell, and which need not sum to one.

**What may be said.** A cause has a share if its evidence went with leaving by more than chance explains, all that was
looked at, here and by the methods asked one by one, having one chance in twenty of a false one (Holm; the parts are in
`findings.SHARES`); else it is 0, with an interval that says how much
could have been missed. Three things are withheld although they stand: messages that the company sent to those who were
unhappy already, changes whose event study fails, and rivals' prices that nobody who left speaks of. What people say
counts through an estimated confusion (`saying`), or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from scipy.stats import fisher_exact

from tenure.errors import BadPeriod, CannotFit
from tenure.explain.attribution import Fitted, Verdict, attributed
from tenure.explain.changes import studied
from tenure.explain.evidence import CHANGED, Counted, evidence
from tenure.explain.excess import fitted
from tenure.explain.findings import FAMILY_LEVEL, share_of
from tenure.explain.leavers import Left, leavers
from tenure.explain.selection import chosen_by_state
from tenure.explain.stated import Stated, reader, stated
from tenure.kernel.time import add_months
from tenure.lake.facts import Facts
from tenure.lake.portable import micros
from tenure.measure.cohorts import history, nothing_known
from tenure.measure.definition import Definition
from tenure.measure.lifetimes import exposure_start

LOOKS_BACK_MONTHS = 36
_AGREES = 0.1  # one-sided p below which those who left while a rival was cheaper speak of rivals more often


def verdict(facts: Facts, definition: Definition, first: date, after: date, *, currency: str | None = None) -> Verdict:
    """All ways of asking taken together, of those lost in [first, after); see the module.

    What goes with leaving is learned from up to three years before `after`. Raises BadPeriod where nobody left.
    """
    span = history(facts)
    if span is None:
        raise nothing_known(facts)
    left = leavers(facts, definition, first, after, currency=currency)
    if not left.people:
        raise BadPeriod(f"nobody left from {first} up to {after}; ask for a longer period")
    says = stated(facts, left.people)
    known, at_once = exposure_start(facts, definition, after)
    since = max(span[0], add_months(after, -LOOKS_BACK_MONTHS), known or span[0])
    notes = list(left.notes)
    speakers = _speakers(facts, left, says)
    fit: Fitted | None = None
    try:
        if at_once:
            raise CannotFit("all who left are known of one day only, so nothing that happened before can be compared")
        fit = _fitted(facts, definition, left, speakers, min(since, first) if known is None else since, after)
    except (CannotFit, BadPeriod) as error:
        notes.append(f"Nothing is said of causes: {error}")
    return attributed(left, says, speakers, fit, _past_due(facts, left), notes)


def _fitted(
    facts: Facts, definition: Definition, left: Left, speakers: Mapping[int, str], first: date, after: date
) -> Fitted:
    """The hazard with the causes that stand, and what is withheld of them."""
    counted = evidence(facts, definition, first, after)
    excess = fitted(
        counted.cells,
        counted.columns,
        FAMILY_LEVEL,
        segments=counted.segments,
        shares=(float(share_of("verdict causes")), float(share_of("verdict segments"))),
    )
    events = studied(facts, definition, first, after)
    stands = [one.cause for one in excess.tried if one.stands]
    withheld = {}
    for cause in CHANGED:
        if cause in stands and events.passed(cause) is False:
            withheld[cause] = "cannot tell: before it was announced those touched and the others already drifted apart"
    if "contact" in stands:
        worse = [one for found in chosen_by_state(facts, counted).values() for one in found if one.is_doubtful]
        if worse:
            measure = "used the product less" if worse[0].measure == "use" else "were less content"
            withheld["contact"] = (
                f"cannot tell: those with these messages {measure} already (p {worse[0].p:.2g}); whoever is worse off is written to more"
            )
    if "competition" in stands and not _agrees(counted, left, speakers):
        withheld["competition"] = (
            "cannot tell: more left while a rival was cheaper, but they do not speak of rivals more often"
        )
    return Fitted(counted, excess, withheld, tuple(name for name in stands if name in counted.segments), events)


def _agrees(counted: Counted, left: Left, speakers: Mapping[int, str]) -> bool:
    """Whether those who left while a rival was cheaper speak of rivals more often than the others."""
    table, cuts = counted.table, counted.months.cuts
    while_cheap = {
        (customer, cuts[cut].start.date())
        for customer, cut, rival in zip(
            *(table.column(name).to_pylist() for name in ("customer_id", "cut", "e_rival")), strict=True
        )
        if rival
    }
    ids = {customer for customer, _ in while_cheap}
    cells = [[0, 0], [0, 0]]
    for i, cause in speakers.items():
        cells[0 if left.people[i].customer_id in ids else 1][0 if cause == "competition" else 1] += 1
    return float(fisher_exact(cells, alternative="greater")[1]) < _AGREES


def _past_due(facts: Facts, left: Left) -> frozenset[int]:
    """Who went while a payment was open, where nobody wrote down who ended it and nobody said why."""
    silent = {
        one.customer_id: i
        for i, one in enumerate(left.people)
        if one.how == "unknown" and not one.code and not one.comment
    }
    if not silent or not facts.has("subscription_states"):
        return frozenset()
    import pyarrow as pa

    facts.engine.lend("left_without_a_word", pa.table({"customer_id": list(silent)}))
    st = facts.statement()
    columns = ("customer_id", "effective_at", "status")
    known = facts.counted(
        st,
        facts.latest(st, "subscription_states", columns, step="states_of_silent"),
        columns,
        "states_of_silent_counted",
    )
    sql = st.render(
        f"SELECT s.customer_id, s.effective_at AS ts, s.status FROM {known} AS s JOIN left_without_a_word AS l ON l.customer_id = s.customer_id ORDER BY 1, 2"
    )
    last: dict[str, str] = {}
    found = set()
    for row in facts.engine.table(sql).to_pylist():
        i = silent[row["customer_id"]]
        if row["ts"] > micros(left.people[i].left_at):
            continue
        if row["status"] in ("canceled", "unpaid"):
            if last.get(row["customer_id"]) == "past_due":
                found.add(i)
        else:
            found.discard(i)
        if row["status"] not in ("canceled", "unpaid"):
            last[row["customer_id"]] = row["status"]
    return frozenset(found)


def _speakers(facts: Facts, left: Left, says: Sequence[Stated]) -> dict[int, str]:
    """What a leaver names, as a person coded it or as his words are read: a cause, `unknown` for none."""
    texts, coded = {}, {}
    for i, (one, said) in enumerate(zip(left.people, says, strict=True)):
        # What a person made of it, in an interview or a correction, needs no reading.
        if one.is_choice and said.by in ("interview", "correction") and said.cause is not None:
            coded[i] = said.cause
            continue
        words = one.comment or (said.said if said.text_ids else None)
        if words and one.is_choice:
            texts[str(i)] = words
    if not texts:
        return coded
    read = {int(one.text_id): one.cause for one in reader(facts, texts).read(texts) if one.cause is not None}
    return coded | read
