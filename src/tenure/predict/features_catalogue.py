"""What is told of a customer before anybody knows whether he stays? Every feature as data.

A feature is an expression over the steps that `features` writes: b (subscriptions), p (payments), u (usage), f (breadth
of use), t (tickets), a (answers), c (changes). {at} is the cut-off, {back} a number of days before it, {days} turns
microseconds into whole days. What nobody can know is NULL, never 0.
"""

from __future__ import annotations

from dataclasses import dataclass

# Tables that a step reads; without any of them, as known then, its features do not exist.
SUBSCRIPTIONS = ("subscription_states", "subscription_spans")
GROUPS = {
    "age": ("how long they have been here", "อยู่กับเรามานานเท่าไร"),
    "contract": ("their contract and its renewal", "สัญญาและการต่ออายุ"),
    "price": ("what they pay", "ราคาที่จ่าย"),
    "seats": ("how many people they pay for", "จำนวนผู้ใช้ที่จ่าย"),
    "payment": ("whether payments go through", "การชำระเงิน"),
    "usage": ("how they use the product", "การใช้งาน"),
    "support": ("the help they asked for", "การขอความช่วยเหลือ"),
    "survey": ("what they told us", "ความเห็นจากแบบสำรวจ"),
    "change": ("what changed for them", "การเปลี่ยนแปลงที่กระทบลูกค้า"),
    "trait": ("who they are", "ลักษณะของลูกค้า"),
}


@dataclass(frozen=True, slots=True)
class Feature:
    """One thing told of a customer as of a date.

    needs: tables, of which all must be known then (`subscriptions`: either of its two); sql: the expression; unit
    'text' makes a text; en, th: the sentence in which a person reads it, with {value} and what `also` names; direction:
    1 where more of it may only raise the chance to leave, -1 where it may only lower it, 0 where theory says neither.
    """

    name: str
    group: str
    unit: str
    definition: str
    needs: tuple[str, ...]
    sql: str
    en: str
    th: str
    also: tuple[tuple[str, str], ...] = ()
    direction: int = 0

    @property
    def is_text(self) -> bool:
        """Whether its values are texts."""
        return self.unit == "text"

    def sentence(self, language: str, values: dict[str, str]) -> str:
        """The sentence with the customer's own values, already written as the reader writes numbers."""
        named = {place: values[name] for place, name in (("value", self.name), *self.also)}
        return (self.th if language == "th" else self.en).format(**named)


def _f(
    name: str, group: str, unit: str, definition: str, needs: str, sql: str, en: str, th: str, **more: object
) -> Feature:
    return Feature(name, group, unit, definition, tuple(needs.split()), sql, en, th, **more)  # type: ignore[arg-type]


FEATURES: tuple[Feature, ...] = (
    _f("tenure_days", "age", "days", "whole days since the customer first paid", "subscriptions", "{days(at - b.first_us)}",
       "customer for {value} days", "เป็นลูกค้ามาแล้ว {value} วัน"),
    _f("plan", "contract", "text", "plan of the item that pays most", "subscriptions", "b.plan_id",
       "on the plan {value}", "ใช้แพ็กเกจ {value}"),
    _f("currency", "price", "text", "currency of the item that pays most", "subscriptions", "b.currency",
       "pays in {value}", "จ่ายเป็นสกุลเงิน {value}"),
    _f("mrr", "price", "minor units a month", "what all items in the currency of the largest pay a month; limited "
       "discounts not taken off", "subscriptions", "CAST(b.mrr AS DOUBLE) / 1000000",
       "pays {value} a month", "จ่ายเดือนละ {value}"),
    _f("items", "contract", "items", "items that are live", "subscriptions", "b.items",
       "{value} products or add-ons", "มี {value} รายการ"),
    _f("interval_days", "contract", "days", "billing interval of the item that pays most: a month is 30 days, a year 365",
       "subscriptions", "b.interval_days", "billed every {value} days", "เรียกเก็บเงินทุก {value} วัน"),
    _f("renewal_days", "contract", "days", "days to the next renewal of any item: its term's end, else its billing "
       "period's, else counted in billing intervals from the day the item began", "subscriptions", "b.renewal_days",
       "renews in {value} days", "ต่ออายุใน {value} วัน"),
    _f("renewal_off", "contract", "0 or 1", "an item's contract does not renew by itself", "subscriptions",
       "b.renewal_off", "does not renew by itself", "สัญญาไม่ต่ออายุอัตโนมัติ"),
    _f("paused", "contract", "0 or 1", "an item is paused, or its payments are not collected", "subscriptions", "b.paused",
       "has paused", "กำลังพักการใช้งาน"),
    _f("mrr_change_90d", "price", "share", "what is paid a month now against 90 days ago, in the currency of the largest "
       "item, less 1; unknown where nothing was paid then", "subscriptions",
       "CASE WHEN b.mrr_then > 0 THEN CAST(b.mrr - b.mrr_then AS DOUBLE) / b.mrr_then END",
       "pays {value} more or less than 90 days ago", "ยอดจ่ายเปลี่ยน {value} จาก 90 วันก่อน"),
    _f("price_rise_days", "price", "days", "days since the price for one unit of the same plan last rose; unknown where it "
       "never did", "subscriptions", "{days(at - b.rise_us)}",
       "price went up {value} days ago", "ราคาเพิ่มขึ้นเมื่อ {value} วันก่อน"),
    _f("discount_share", "price", "share", "discount now, of the price of the item that pays most", "subscriptions",
       "b.discount_share", "has a discount of {value}", "ได้ส่วนลด {value}"),
    _f("discount_ends_days", "price", "days", "days until the first limited discount ends; unknown where none runs",
       "subscriptions", "{days(b.discount_us - at)}",
       "discount ends in {value} days", "ส่วนลดจะหมดใน {value} วัน"),
    _f("seats", "seats", "seats", "units of all live items that are not metered", "subscriptions", "b.seats",
       "pays for {value} seats", "จ่ายสำหรับ {value} ที่นั่ง"),
    _f("seats_change_90d", "seats", "seats", "seats now less seats 90 days ago; unknown for who was not there then",
       "subscriptions", "CASE WHEN b.seats_then > 0 THEN b.seats - b.seats_then END",
       "{value} seats more or less than 90 days ago", "จำนวนที่นั่งเปลี่ยน {value} จาก 90 วันก่อน"),
    _f("past_due", "payment", "0 or 1", "a payment is open", "subscriptions", "b.past_due",
       "a payment is overdue", "มียอดค้างชำระ", direction=1),
    _f("failed_payments_90d", "payment", "attempts", "attempts to be paid that failed in the last 90 days", "payments",
       "coalesce(p.failed_90, 0)", "{value} failed payments in 90 days", "ตัดเงินไม่ผ่าน {value} ครั้งใน 90 วัน", direction=1),
    _f("failures_in_a_row", "payment", "attempts", "failed attempts since the last one that went through", "payments",
       "coalesce(p.in_a_row, 0)", "the last {value} payment attempts failed", "ตัดเงินไม่ผ่านติดกัน {value} ครั้ง", direction=1),
    _f("card_expires_days", "payment", "days", "days until the card of the latest attempt expires; negative when it has",
       "payments", "p.card_day - {today}", "the card expires in {value} days", "บัตรจะหมดอายุใน {value} วัน"),
    _f("use_28d", "usage", "quantity", "usage in the last 28 days", "usage", "coalesce(u.use_28, 0)",
       "used {value} in 28 days", "ใช้งาน {value} ใน 28 วัน"),
    _f("active_days_28d", "usage", "days", "different days with usage in the last 28", "usage", "coalesce(u.days_28, 0)",
       "active on {value} of the last 28 days", "ใช้งาน {value} วันจาก 28 วันล่าสุด", direction=-1),
    _f("use_trend", "usage", "-1 to 1", "(usage of the last 28 days less that of the 28 before) over their sum; unknown "
       "without any, or where usage is not told of so far back", "usage",
       "CASE WHEN u.use_28 + u.use_56 > 0 AND {told_since} <= {back(56)} "
       "THEN (u.use_28 - u.use_56) / (u.use_28 + u.use_56) END",
       "usage trend {value} (-1 stopped, 1 began)", "แนวโน้มการใช้งาน {value} (-1 หยุดใช้ 1 เพิ่งเริ่ม)", direction=-1),
    _f("usual_gap_days", "usage", "days", "usual days from one day with usage to the next: the mean over the last 180 days, "
       "of those with three or more", "usage",
       "CASE WHEN u.days_180 >= 3 THEN CAST(u.last_day - u.first_day AS DOUBLE) / (u.days_180 - 1) END",
       "usually used every {value} days", "ปกติใช้งานทุก {value} วัน"),
    _f("silent_days", "usage", "days", "days since the last day with usage; where none is told, since the first payment, "
       "since usage is told of, or 180, whichever is least", "usage",
       "coalesce({today} - u.last_day, least(180, {days(at - b.first_us)}, {days(at - {told_since})}))",
       "no login for {value} days; usually every {usual}", "ไม่ได้เข้าใช้งาน {value} วัน ปกติทุก {usual} วัน",
       also=(("usual", "usual_gap_days"),), direction=1),
    _f("silence_ratio", "usage", "times", "days since the last usage, in usual gaps", "usage",
       "CASE WHEN u.days_180 >= 3 AND u.last_day > u.first_day "
       "THEN CAST({today} - u.last_day AS DOUBLE) * (u.days_180 - 1) / (u.last_day - u.first_day) END",
       "silent for {value} times the usual gap", "เงียบนาน {value} เท่าของปกติ", direction=1),
    _f("breadth_28d", "usage", "features", "different features used in the last 28 days", "usage",
       "coalesce(f.features_28, 0)", "used {value} features in 28 days", "ใช้ {value} ฟีเจอร์ใน 28 วัน", direction=-1),
    _f("people_28d", "usage", "people", "different people in the usage of the last 28 days; unknown where usage names none",
       "usage", "f.people_28", "{value} people used it in 28 days", "มีผู้ใช้ {value} คนใน 28 วัน", direction=-1),
    _f("seat_use", "seats", "share", "people of the last 28 days for each seat paid for", "usage subscriptions",
       "CASE WHEN b.seats > 0 THEN CAST(f.people_28 AS DOUBLE) / b.seats END",
       "{value} of the seats are used", "ใช้ที่นั่ง {value} ของที่จ่าย", direction=-1),
    _f("tickets_90d", "support", "tickets", "tickets opened in the last 90 days", "tickets", "coalesce(t.opened_90, 0)",
       "{value} tickets in 90 days", "แจ้งปัญหา {value} ครั้งใน 90 วัน"),
    _f("open_tickets", "support", "tickets", "tickets not resolved yet", "tickets", "coalesce(t.open_now, 0)",
       "{value} tickets open", "มีเรื่องค้าง {value} เรื่อง", direction=1),
    _f("oldest_open_days", "support", "days", "days since the oldest open ticket was opened; unknown where none is",
       "tickets", "{days(at - t.oldest_us)}", "a ticket has been open for {value} days", "เรื่องค้างนาน {value} วัน"),
    _f("slow_tickets_90d", "support", "tickets", "tickets of the last 90 days that waited over 48 hours for a first reply "
       "(a solution counts as one), or still do", "tickets", "coalesce(t.slow_90, 0)",
       "{value} tickets waited over two days", "รอคำตอบเกินสองวัน {value} ครั้ง", direction=1),
    _f("ticket_csat", "support", "1 to 5", "mean satisfaction with the tickets of the last 180 days", "tickets", "t.csat",
       "rated support {value}", "ให้คะแนนการช่วยเหลือ {value}", direction=-1),
    _f("nps", "survey", "0 to 10", "latest answer to how likely they recommend us", "answers", "a.nps",
       "would recommend us: {value} of 10", "คะแนนการแนะนำ {value} จาก 10", direction=-1),
    _f("nps_days", "survey", "days", "days since that answer", "answers", "{days(at - a.nps_us)}",
       "last answered {value} days ago", "ตอบแบบสำรวจล่าสุด {value} วันก่อน"),
    _f("csat", "survey", "score", "latest answer to how satisfied they are", "answers", "a.csat",
       "satisfaction {value}", "ความพึงพอใจ {value}", direction=-1),
    _f("changes_90d", "change", "changes", "changes that took effect for them in the last 90 days", "change_exposures",
       "coalesce(c.changes_90, 0)", "{value} changes touched them in 90 days", "มีการเปลี่ยนแปลง {value} ครั้งใน 90 วัน"),
    _f("change_days", "change", "days", "days since the latest change took effect for them", "change_exposures",
       "{days(at - c.last_us)}", "the last change was {value} days ago", "การเปลี่ยนแปลงล่าสุด {value} วันก่อน"),
    _f("price_change_in_days", "change", "days", "days until an announced change of price takes effect for them; unknown "
       "where none is announced", "change_exposures changes", "{days(c.price_us - at)}",
       "a price change takes effect in {value} days", "ราคาใหม่จะมีผลใน {value} วัน"),
)  # fmt: skip
BY_NAME = {feature.name: feature for feature in FEATURES}
# Columns of customers that hold no date: features only where they are declared static.
STATIC_COLUMNS = ("country", "language", "channel")
# Who somebody is, which is never learned from, whatever is declared.
NEVER = ("name", "email", "first_name", "last_name", "phone", "address")


def of_trait(trait: str, is_text: bool) -> Feature:
    """The feature that a trait is: its latest dated value, or the one declared to have always held."""
    definition = f"the trait {trait} as it stood, or as declared to have always held"
    safe = trait.replace("{", "{{").replace("}", "}}")
    return Feature(
        f"trait:{trait}", "trait", "text" if is_text else "number", definition, ("traits",), "",
        f"{safe} is {{value}}", f"{safe} คือ {{value}}",
    )  # fmt: skip


def of_column(column: str) -> Feature:
    """The feature that a column of customers is, declared to have always held."""
    definition = f"customers.{column}, declared to have always held"
    en, th = f"{column} is {{value}}", f"{column} คือ {{value}}"
    return Feature(f"customer:{column}", "trait", "text", definition, ("customers",), f"k.{column}", en, th)
