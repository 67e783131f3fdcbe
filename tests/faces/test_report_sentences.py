"""The sentences of the report: each says what the story holds, in the right form, and admits what is not known."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from tenure.app.story import (
    Ahead,
    Amount,
    CausePart,
    Chosen,
    CohortRow,
    Cohorts,
    ComingDue,
    Comparison,
    Costs,
    DueMonth,
    FactCoverage,
    Figure,
    Headline,
    Leavers,
    Match,
    MovementLine,
    Note,
    Opened,
    Period,
    Recurring,
    ShareLine,
    Story,
    Survival,
    SurvivalCurve,
    SurvivalPoint,
    Trust,
    Worse,
)
from tenure.faces.report.pictures import pictures, rate_of_all
from tenure.faces.report.sentences import Sentence, Teller, report_language, target_state, tone_of
from tests.faces.made_up_story import about, causes, leaves_next, month, order_story, subscription_story

OCTOBER, SEPTEMBER = month(29), month(28)


def teller(story: Story | None = None, language: str = "en") -> Teller:
    return Teller(story or Story(about(), Trust(())), report_language(language))


def told(sentences: list[Sentence]) -> str:
    return " ".join(str(sentence) for sentence in sentences)


def mrr(now: str, before: str | None, currency: str = "USD") -> Recurring:
    figure = Figure("mrr", Decimal(now), "money", OCTOBER, currency)
    comparisons = ()
    if before is not None:
        then = Figure("mrr", Decimal(before), "money", SEPTEMBER, currency)
        comparisons = (Comparison("previous", then, Decimal(now) - Decimal(before)),)
    return Recurring(currency, Headline(figure, "higher", comparisons), Decimal(before or 0), Decimal(now), ())


def churn(
    value: float | None, low: float | None = None, high: float | None = None, comparisons: tuple[Comparison, ...] = ()
) -> Headline:
    figure = Figure(
        "customer_churn_rate", value, "rate", OCTOBER, "", low, high, reason="nobody was there at the start"
    )
    return Headline(figure, "lower", comparisons)


def against(
    kind: str, then: float, difference: float, low: float | None = None, high: float | None = None
) -> Comparison:
    figure = Figure("customer_churn_rate", then, "rate", SEPTEMBER)
    return Comparison(kind, figure, difference, low, high)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("now", "before", "sentence"),
    [
        (
            "1100.00",
            "1000.00",
            "MRR is $1,100.00 at the end of October 2025, $100.00 (10.0%) more than the month before.",
        ),
        ("900.00", "1000.00", "MRR is $900.00 at the end of October 2025, $100.00 (10.0%) less than the month before."),
        ("900.00", "900.00", "MRR is $900.00 at the end of October 2025, the same as the month before."),
        ("900.00", None, "MRR is $900.00 at the end of October 2025; there is nothing earlier to compare it with."),
        # A change from nothing has no percentage.
        ("900.00", "0.00", "MRR is $900.00 at the end of October 2025, $900.00 (∞) more than the month before."),
    ],
)
def test_the_first_sentence_says_where_mrr_stands_and_by_how_much_it_moved(
    now: str, before: str | None, sentence: str
) -> None:
    story = Story(about(), Trust(()), (mrr(now, before),))
    assert told(teller(story).lead()) == sentence


def test_an_mrr_nobody_knows_says_why() -> None:
    figure = Figure("mrr", None, "money", OCTOBER, "USD", reason="no exchange rate is known for THB")
    story = Story(about(), Trust(()), (Recurring("USD", Headline(figure), Decimal(0), Decimal(0), ()),))
    assert told(teller(story).lead()) == "MRR is unknown for October 2025: no exchange rate is known for THB."


def test_each_currency_has_its_own_sentence() -> None:
    story = Story(about(), Trust(()), (mrr("900", None), mrr("300", None, "EUR")))
    assert told(teller(story).lead()).count("MRR is") == 2


def test_nobody_at_the_start_is_no_churn_of_zero() -> None:
    story = Story(about(), Trust(()), rates=(churn(None),))
    assert told(teller(story).lead()) == "Customer churn is unknown: nobody was there at the start."


def test_one_customer_is_spoken_of_as_one() -> None:
    leavers = Leavers(OCTOBER, 1, (Amount(Decimal("9.00"), "USD"),), ())
    assert told(teller().leavers(leavers)) == "1 customer left in October 2025 and took $9.00 of MRR along."


def test_who_left_is_told_in_every_currency() -> None:
    leavers = Leavers(OCTOBER, 4, (Amount(Decimal("9.00"), "USD"), Amount(Decimal("700"), "JPY")), ())
    assert "$9.00 + ¥700 of MRR" in told(teller().leavers(leavers))


def test_nobody_leaving_is_said_and_so_is_leaving_without_money() -> None:
    assert told(teller().leavers(Leavers(OCTOBER, 0, (), ()))) == "Nobody left in October 2025."
    assert told(teller().leavers(Leavers(OCTOBER, 3, (), ()))) == "3 customers left in October 2025."


def test_the_costliest_are_said_only_where_they_are_not_everybody() -> None:
    leavers = subscription_story().leavers
    assert leavers is not None
    assert "The 10 that cost most paid $4,655.95, 43% of it." in told(teller().leavers(leavers))
    assert "cost most" not in told(teller().leavers(replace(leavers, customers=10)))


def test_why_mrr_moved_names_the_most_of_each_side() -> None:
    lines = (
        MovementLine("new", Decimal("30.00")),
        MovementLine("expansion", Decimal("50.00")),
        MovementLine("churn", Decimal("-20.00")),
        MovementLine("pause", Decimal("-5.00")),
        MovementLine("correction", Decimal("-1.00")),
    )
    recurring = replace(mrr("900.00", None), lines=lines)
    assert told(teller().why(recurring)) == (
        "$80.00 came in, most of it upgrades ($50.00); $25.00 went, most of it customers leaving ($20.00). "
        "Corrections to closed months changed it by −$1.00."
    )
    assert told(teller().why(replace(recurring, lines=lines[:1]))).endswith("nothing went.")
    assert told(teller().why(replace(recurring, lines=lines[2:3]))).endswith("nothing came in.")
    assert told(teller().why(replace(recurring, lines=()))) == "Nothing came in and nothing went."


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.01, 0.02, "noise"),
        (0.001, 0.02, "real"),
        (-0.02, -0.001, "real"),
        (0.0, 0.02, "noise"),
        (None, None, "unknown"),
    ],
)
def test_a_change_is_real_where_the_interval_of_the_difference_leaves_zero_out(
    low: float | None, high: float | None, verdict: str
) -> None:
    assert against("previous", 0.04, 0.01, low, high).verdict == verdict


def test_changes_that_may_be_chance_are_called_so() -> None:
    quiet = churn(0.05, comparisons=(against("previous", 0.04, 0.01, -0.01, 0.03),))
    answer, rows = teller(Story(about(), Trust(()), rates=(quiet,))).noise()
    assert told(answer) == "Nothing certain: the one change we can test may be chance."
    assert (rows[0].verdict, rows[0].tone) == ("may be chance", "")


def test_a_real_rise_of_churn_is_bad_news_and_a_real_rise_of_retention_good() -> None:
    rise = against("previous", 0.04, 0.01, 0.005, 0.015)
    answer, rows = teller(Story(about(), Trust(()), rates=(churn(0.05, comparisons=(rise,)),))).noise()
    assert told(answer) == "The one change we can test is more than noise: Customer churn against the month before."
    assert (rows[0].difference, rows[0].tone) == ("+1.0", "bad")
    assert tone_of(Headline(churn(0.05).figure, "higher"), rise) == "good"
    assert tone_of(Headline(churn(0.05).figure, "neither"), rise) == ""


def test_a_change_of_a_rate_without_an_interval_is_neither_good_nor_bad_news() -> None:
    unsure = against("previous", 0.04, 0.01)
    _, rows = teller(Story(about(), Trust(()), rates=(churn(0.05, comparisons=(unsure,)),))).noise()
    assert (rows[0].difference, rows[0].verdict, rows[0].tone) == ("+1.0", "", "")
    # MRR is counted, not estimated: less of it is less.
    story = Story(about(), Trust(()), (mrr("900", "1000"),))
    headline = story.recurring[0].mrr
    assert teller(story).compared(headline, headline.comparisons[0]).tone == "bad"


@pytest.mark.parametrize(
    ("value", "low", "high", "goal", "better", "state"),
    [
        (0.04, 0.035, 0.045, 0.03, "lower", "missed"),
        (0.04, 0.025, 0.055, 0.03, "lower", "open"),
        (0.02, 0.015, 0.025, 0.03, "lower", "met"),
        (1.02, None, None, 1.05, "higher", "missed"),
        (1.05, None, None, 1.05, "higher", "met"),
        (None, None, None, 0.03, "lower", ""),
    ],
)
def test_a_target_is_open_while_it_lies_within_the_interval(
    value: float | None, low: float | None, high: float | None, goal: float, better: str, state: str
) -> None:
    figure = Figure("customer_churn_rate", value, "rate", OCTOBER, "", low, high)
    headline = Headline(figure, better)  # type: ignore[arg-type]
    assert target_state(headline, against("target", goal, 0.0)) == state


def test_unknown_ways_of_leaving_stay_unknown() -> None:
    unknown = Chosen(OCTOBER, (ShareLine("unknown", 7),))
    assert told(teller().chosen(unknown)) == "We do not know: no cancellation says who ended it."
    assert told(teller().chosen(Chosen(OCTOBER, ()))) == "Nobody left, so there is nothing to tell apart."
    mixed = Chosen(OCTOBER, (ShareLine("voluntary", 3), ShareLine("unknown", 1), ShareLine("other", 1)))
    assert told(teller().chosen(mixed)) == (
        "3 chose to leave (60%); for 0 a payment failed (0%); for 1 we do not know. "
        "1 ended for another reason: a dispute, fraud, or by us."
    )


def test_who_is_leaving_and_who_decides_soon_is_told_in_all_four_cases() -> None:
    some, nobody = Opened((), 2), Opened()
    ten = (Amount(Decimal("10.00"), "USD"),)

    def say(scheduled: Opened, renewals: Opened) -> str:
        return told(teller().ahead(Ahead(date(2025, 11, 1), scheduled, ten, renewals, ten)))

    assert say(some, some) == (
        "2 customers ($10.00 of MRR) have cancelled and still pay; "
        "2 customers ($10.00) come up for renewal within 90 days."
    )
    assert say(some, nobody).endswith("no renewal is due within 90 days.")
    assert say(nobody, some).startswith("Nobody has cancelled ahead; 2 customers")
    assert say(nobody, nobody) == "Nobody has cancelled ahead, and no renewal is due within 90 days."


def test_no_segment_worse_than_chance_is_an_answer() -> None:
    worse = Worse("customer_churn_rate", OCTOBER, (), (), 12)
    assert told(teller().worse(worse)) == "None is worse than the rest by more than chance, of 12 compared."


def test_survivors_only_assumed_and_derived_rows_are_always_admitted() -> None:
    facts = (FactCoverage("subscription_states", 200, 10, date(2024, 1, 1), date(2025, 1, 1), 20, 50, 3),)
    story = Story(about(), Trust(facts, (), date(2024, 3, 1), 2))
    answer, notes = teller(story).trust()
    assert told(answer) == "Facts cover 1 Jan 2024 to 1 Jan 2025. 5 things to keep in mind."
    text = told(notes)
    assert "Nobody is seen to leave before 1 Mar 2024" in text
    assert "20 rows (10.0%) were rebuilt from other facts." in text
    assert "For 50 rows (25.0%) the date of record was assumed" in text
    assert "3 rows were refused at load" in text
    assert "2 test customers are left out." in text


def test_a_caveat_said_by_the_story_is_not_said_twice() -> None:
    story = Story(about(), Trust((), (), date(2024, 3, 1), 0, (Note("survivors_only", {"until": date(2024, 3, 1)}),)))
    assert len(teller(story).caveats()) == 1


def test_a_provisional_month_and_a_reconstructed_past_are_caveats() -> None:
    story = Story(replace(about(), is_provisional=True, is_reconstructed=True), Trust(()))
    text = told(teller(story).caveats())
    assert "provisional" in text
    assert "reconstructed" in text


def test_a_caveat_nobody_translated_is_said_in_its_own_words_and_cleaned() -> None:
    said = teller().note(Note("brand_new", {}, "the moon\u202e was full"))
    assert str(said) == "the moon was full"
    assert teller().note(Note("brand_new")) is None
    # A known code whose values are missing falls back as well.
    assert str(teller().note(Note("derived_rows", {"rows": 3}, "three rows"))) == "three rows"


def test_a_window_that_is_still_open_is_a_caveat_of_a_shop() -> None:
    shop = order_story()
    bare = replace(shop, orders=(replace(shop.orders[0], notes=()),))
    for story in (shop, bare):
        assert told(teller(story).caveats()).count("within the last 90 days") == 1


def test_every_number_can_say_what_it_means() -> None:
    tip = teller(subscription_story()).tip(subscription_story().rates[0].figure)
    assert tip == (
        "Customer churn · Customers at the start who are no customers at the end, divided by customers at the start · "
        "October 2025 · 61 of 1,498 · 95% interval 3.2% to 5.2% · Profile: tenure"
    )


def test_a_metric_nobody_translated_is_defined_by_the_catalogue() -> None:
    from tenure.app.story import Definition

    known = Definition("magic", "Magic number", "How fast?", "a / b", "ratio")
    story = Story(about(), Trust(()), definitions=(known,))
    assert teller(story).title("magic") == "Magic number"
    assert teller(story).meaning("magic") == "How fast?"
    assert teller(story).title("never_heard_of") == "never heard of"


def sentence_of(story: Story, name: str) -> str:
    return told(list(next(picture for picture in pictures(teller(story)) if picture.name == name).sentences))


def test_a_median_nobody_reached_is_not_invented() -> None:
    points = tuple(SurvivalPoint(float(at), 1 - at / 100) for at in range(13))
    curve = SurvivalCurve("", points, 50, 6, None, horizon=12.0)
    story = Story(about(), Trust(()), survival=(Survival((curve,)),))
    assert sentence_of(story, "survival") == (
        "More than half stay longer than the 12 months we have watched; 88% are still there then."
    )


def test_curves_that_differ_by_chance_are_called_so() -> None:
    points = tuple(SurvivalPoint(float(at), 1 - at / 100) for at in range(13))
    curves = (SurvivalCurve("a", points), SurvivalCurve("b", points))
    story = Story(about(), Trust(()), survival=(Survival(curves, p_value=0.41),))
    assert "may differ by chance alone (log-rank, p = 0.410)" in sentence_of(story, "survival_by")


def test_cohorts_too_young_to_say_anything_say_so() -> None:
    cohorts = Cohorts("customers", "month", (CohortRow("2025-10", date(2025, 10, 1), 9, (1.0,)),), (1.0,))
    assert sentence_of(Story(about(), Trust(()), cohorts=(cohorts,)), "cohorts_customers") == (
        "No cohort is old enough yet."
    )


def test_the_peak_of_the_hazard_is_not_looked_for_among_a_handful() -> None:
    story = subscription_story()
    assert story.hazard is not None
    tail = replace(story.hazard.points[-1], start=40.0, end=41.0, hazard=0.9, at_risk=2)
    wild = replace(story, hazard=replace(story.hazard, points=(*story.hazard.points, tail)))
    assert "greatest in month 1:" in sentence_of(wild, "hazard")


def test_a_peak_of_a_wide_span_is_told_with_both_its_ends() -> None:
    story = subscription_story()
    assert story.hazard is not None
    wide = replace(story.hazard.points[0], start=0.0, end=3.0, hazard=0.2, low=0.15, high=0.25)
    assert sentence_of(replace(story, hazard=replace(story.hazard, points=(wide,))), "hazard") == (
        "The risk of leaving is greatest between 0 and 3 months: "
        "20.0% of those who got that far leave within that time."
    )


def test_the_peak_is_the_one_we_are_surest_of() -> None:
    story = subscription_story()
    assert story.hazard is not None
    sure = replace(story.hazard.points[0], hazard=0.1, low=0.09, high=0.11)
    wild = replace(story.hazard.points[5], hazard=0.12, low=0.02, high=0.4)
    told_of = replace(story, hazard=replace(story.hazard, points=(sure, wild)))
    assert "greatest in month 1:" in sentence_of(told_of, "hazard")


def test_a_reason_that_gives_none_is_not_quoted_as_the_commonest() -> None:
    leavers = Leavers(OCTOBER, 9, (), (), (("other", 5, None), ("too_expensive", 3, None), ("", 1, None)))
    assert "The reason given most often: “too expensive” (3 customers)." in told(teller().leavers(leavers))
    assert "reason given" not in told(teller().leavers(replace(leavers, said=leavers.said[:1])))


def test_average_months_say_that_they_are_averages_and_over_which_days() -> None:
    year = Period(date(2024, 11, 1), date(2025, 11, 1), "year")
    monthly = Worse("customer_churn_rate", year, (), (), 4, per="month")
    assert told(teller().worse(monthly)).endswith(
        "Average monthly churn over 1 Nov 2024 – 31 Oct 2025; the base counts each customer once a month."
    )
    assert told(teller().worse(replace(monthly, per=""))).endswith("Counted over 1 Nov 2024 – 31 Oct 2025.")


def test_the_line_of_all_customers_is_counted_from_the_segments_beside_it() -> None:
    table = subscription_story().worse.tables[0]  # type: ignore[union-attr]
    # 41 + 16 + 4 of 620 + 540 + 338
    assert rate_of_all(table) == pytest.approx(61 / 1498)
    assert rate_of_all(replace(table, left_out=1)) is None


def test_a_year_of_quarters_is_four_of_them() -> None:
    shares = tuple(1 - age / 20 for age in range(9))
    rows = (CohortRow("2023-Q1", date(2023, 1, 1), 9, shares),)
    story = Story(about(), Trust(()), cohorts=(Cohorts("customers", "quarter", rows, shares),))
    assert (
        sentence_of(story, "cohorts_customers") == "After 4 quarters, 80% of a cohort are still customers on average."
    )


def test_whom_other_facts_name_is_matched_or_the_weakest_is_named() -> None:
    facts = (FactCoverage("customers", 9, 9, date(2024, 1, 1), date(2025, 1, 1)),)
    whole = Story(about(), Trust(facts, (Match("payments", 9, 9),)))
    assert "Every customer that other facts name is known to us." in told(teller(whole).trust()[0])
    weak = Story(about(), Trust(facts, (Match("payments", 9, 9), Match("tickets", 1, 4))))
    assert "The weakest match is Tickets: 25.0% of its customers are known to us." in told(teller(weak).trust()[0])


def test_one_cohort_alone_is_no_layer_cake() -> None:
    shop = order_story().orders[0]
    alone = tuple(layer for layer in shop.layers if layer.cohort == shop.layers[0].cohort)
    names = [
        picture.name for picture in pictures(teller(replace(order_story(), orders=(replace(shop, layers=alone),))))
    ]
    assert names == ["revenue", "active", "cohorts_orders"]


def test_the_average_stay_is_told_with_its_horizon() -> None:
    points = (SurvivalPoint(0.0, 1.0), SurvivalPoint(30.0, 0.4))
    curve = SurvivalCurve("", points, 50, 6, 20.0, restricted_mean=12.34, horizon=30.0)
    story = Story(about(), Trust(()), survival=(Survival((curve,)),))
    assert sentence_of(story, "survival").endswith("Of their first 30 months they stay 12.3 on average.")


def test_quarters_and_days_have_their_own_words() -> None:
    quarter = Period(date(2025, 7, 1), date(2025, 10, 1), "quarter")
    story = Story(replace(about(), period=quarter), Trust(()), (mrr("1100.00", "1000.00"),))
    assert "than the quarter before" in told(teller(story).lead())


@pytest.mark.parametrize("language", ["en", "th"])
def test_no_sentence_of_a_whole_story_keeps_a_placeholder(language: str) -> None:
    for story in (subscription_story(), order_story()):
        one = teller(story, language)
        sentences = [*one.lead(), *one.caveats(), *one.noise()[0], one.rule_of_noise()]
        sentences += [sentence for picture in pictures(one) for sentence in (*picture.sentences, *picture.notes)]
        assert len(sentences) > 8
        for sentence in sentences:
            assert "{" not in str(sentence)
            assert str(sentence) == str(sentence).strip()


def test_why_they_left_is_told_by_share_with_the_unknown_as_large_as_it_is() -> None:
    assert told(teller().verdict(causes())) == (
        "What carried the leaving of the 240 customers lost (1 Nov 2024 – 31 Oct 2025): Involuntary 25.0% and Price "
        "15.0%. Nothing explains the other 60.0% (41.0% to 67.0%). A part says how much of the leaving a cause "
        "carried, not who would have stayed without it."
    )
    head, rows = teller().verdict_rows(causes())
    assert [row[0] for row in rows] == ["Involuntary", "Price", "Contact", "Unknown"]
    assert rows[1] == ["Price", "15.0%", "8.0% to 21.0%", "24.0%", "12.0% to 35.0%", "event study"]
    assert rows[2][-1] == "cannot tell" and len(head) == len(rows[0])
    nothing = replace(causes(), parts=(CausePart("unknown", 1.0, 0.7, 1.0),))
    assert told(teller().verdict(nothing)).startswith("Nothing that is known of the 240 customers lost")
    assert teller().verdict_rows(nothing)[1] == [["Unknown", "100.0%", "70.0% to 100.0%", ""]]


def test_who_leaves_next_is_told_with_chance_worth_and_expected_loss() -> None:
    assert told(teller().leaves_next(leaves_next())) == (
        "Of 900 customers scored as of 1 Nov 2025, about 61 are expected to leave within 90 days. Those with the "
        "largest expected loss, chance times what they are still worth, stand first."
    )
    head, rows = teller().leaves_next_rows(leaves_next())
    assert len(head) == 5
    assert rows[0][1:] == ["72.4%", "66.3%", "THB\xa078,911", "THB\xa057,131"]
    assert rows[1] == ["<b>Bold & Sons</b>", "31.0%", "", "", ""]
    assert "likeliest stand first" in told(teller().leaves_next(replace(leaves_next(), ranked="chance")))


def test_what_churn_cost_is_told_as_far_as_it_is_known() -> None:
    def say(**lines: Decimal) -> str:
        october = Period(date(2025, 10, 1), date(2025, 11, 1))
        return told(teller().costs(Costs("USD", october, lines, "tenure cost --from 2025-10")))

    hundred, none = Decimal(100), Decimal(0)
    assert say(arr_lost=hundred, forgone_value=hundred, replacement_cost=hundred, arr_at_risk=hundred) == (
        "Churn cost $100.00 of ARR. What those who left would still have brought is worth $100.00; to replace them "
        "costs $100.00. $100.00 of ARR is at risk: its end is set, a payment is open, or it comes up for renewal soon."
    )
    assert say(arr_lost=hundred, replacement_cost=hundred) == (
        "Churn cost $100.00 of ARR. To replace those who left costs $100.00."
    )
    assert say(arr_lost=hundred) == "Churn cost $100.00 of ARR."
    assert say(arr_lost=none, arr_at_risk=none, arr_saved=none, arr_recovered=hundred) == (
        "Churn cost nothing in October 2025: nobody who paid left. $100.00 was kept: ends that were taken back, "
        "payments that came in after all, customers who returned."
    )


def test_yearly_terms_are_told_in_the_first_line_and_what_is_promised_after() -> None:
    counts = {"renewed": 8, "late": 1, "undecided": 0, "lost": 1}
    arr = {outcome: Decimal(count * 100) for outcome, count in counts.items()}
    months = (DueMonth(Period(date(2025, 10, 1), date(2025, 11, 1)), counts, arr),)
    money = Decimal("1000"), Decimal("50"), Decimal("20")
    assert told(teller().due(ComingDue("USD", months, *money, 12, 0.9, 0.6, 0.98))) == (
        "90.0% of yearly terms renewed: 10 were decided in 1 month. In October 2025, 10 yearly terms came due "
        "($1,000.00 of ARR): 8 renewed on time and 1 late, 0 undecided, 1 lost ($100.00). With what is signed and what "
        "is known to go within 12 months, MRR of $1,000.00 becomes $1,030.00: $50.00 will begin, $20.00 will go."
    )
    nothing = (DueMonth(months[0].period, dict.fromkeys(counts, 0), dict.fromkeys(counts, Decimal(0))),)
    assert told(teller().due(ComingDue("USD", nothing, Decimal(5), Decimal(0), Decimal(0)))) == (
        "No yearly term came due in October 2025."
    )
