"""What do they say? Stated reasons, comments, tickets, survey answers and reviews, in English and Thai.

What a customer says is not always why it left: two in three name the true cause, some name another, some nothing.
Thai customers mostly write Thai, everybody else English.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tenure.simulate import hazards, world
from tenure.simulate.chance import Chance, Numbers
from tenure.simulate.lives import Lives
from tenure.simulate.months import DAY, HOUR, MINUTE, NEVER, SECOND, Months
from tenure.simulate.people import LANGUAGES
from tenure.simulate.sheets import Clerk, Names, joined, sheet, words

THAI = LANGUAGES.index("th")

# Stripe's cancellation feedback codes.
REASONS = (
    "customer_service",
    "low_quality",
    "missing_features",
    "other",
    "switched_service",
    "too_complex",
    "too_expensive",
    "unused",
)
_REASON_OF = {
    "experience": "unused",
    "contact": "other",
    "price": "too_expensive",
    "quality": "low_quality",
    "support": "customer_service",
    "fit": "missing_features",
    "competition": "switched_service",
    "change": "missing_features",
    "circumstance": "other",
    "unknown": "other",
    "involuntary": "other",
}
_REASON = np.array([REASONS.index(_REASON_OF[cause]) for cause in hazards.CAUSES])

# What they write when they go, by cause: English, then Thai, three each.
_EXIT: dict[str, tuple[tuple[str, str, str], tuple[str, str, str]]] = {
    "experience": (
        (
            "We hardly opened it in the last months.",
            "The person who used it left, and nobody picked it up.",
            "The team went back to spreadsheets.",
        ),
        ("ช่วงหลังแทบไม่ได้ใช้งานเลย", "คนที่ดูแลระบบลาออกไปแล้ว ไม่มีใครใช้ต่อ", "ทีมกลับไปใช้สเปรดชีตเหมือนเดิม"),
    ),
    "contact": (
        (
            "Far too many emails from you.",
            "We never heard from anyone after signing up.",
            "Your weekly mail is useless to us, please stop.",
        ),
        ("ส่งอีเมลมาบ่อยเกินไป น่ารำคาญ", "ตั้งแต่สมัครมาไม่เคยมีใครติดต่อเลย", "อีเมลรายสัปดาห์ไม่มีประโยชน์กับเรา"),
    ),
    "price": (
        (
            "The new price is too much for what we use.",
            "14 % more without anything new. No thanks.",
            "Too expensive since the increase.",
        ),
        ("ราคาใหม่แพงเกินไปสำหรับที่ใช้อยู่", "ขึ้นราคาแต่ไม่มีอะไรเพิ่ม ไม่คุ้มแล้ว", "แพงขึ้นมาก งบไม่พอ"),
    ),
    "quality": (
        (
            "The outage cost us a day of work.",
            "Sync keeps failing, we cannot rely on it.",
            "Too many errors since the incident.",
        ),
        ("ระบบล่มทั้งวัน เสียงานเสียการ", "ซิงก์ไม่ขึ้นบ่อยมาก เชื่อถือไม่ได้", "มีข้อผิดพลาดเยอะตั้งแต่วันที่ระบบล่ม"),
    ),
    "support": (
        ("Waited three days for an answer.", "Support never solved our problem.", "Nobody answers when we need help."),
        ("ถามไปสามวันกว่าจะตอบ", "แจ้งปัญหาแล้วไม่ได้รับการแก้ไข", "ติดต่อฝ่ายช่วยเหลือยากมาก รอนาน"),
    ),
    "fit": (
        (
            "It does not fit how events are planned.",
            "Missing what our industry needs.",
            "Not made for a company like ours.",
        ),
        ("ไม่เหมาะกับงานอีเวนต์ของเรา", "ขาดฟังก์ชันที่ธุรกิจแบบเราต้องใช้", "โปรแกรมไม่ตรงกับงานของเรา"),
    ),
    "competition": (
        ("Madeupify does the same for 40 % less.", "We switched to Madeupify.", "A competitor made us a better offer."),
        ("ย้ายไปใช้ Madeupify ถูกกว่า", "Madeupify ให้โปรดีกว่า เลยเปลี่ยน", "เจอเจ้าอื่นที่ข้อเสนอดีกว่า"),
    ),
    "change": (
        (
            "You removed classic sync, which we needed every day.",
            "Without classic sync it is useless to us.",
            "Why take away a feature people pay for?",
        ),
        ("ตัดฟีเจอร์ซิงก์แบบเดิมออก เราใช้ทุกวัน", "ไม่มีซิงก์แบบเดิมก็ใช้งานต่อไม่ได้", "เอาฟีเจอร์ที่ใช้ประจำออกไปทำไม"),
    ),
    "circumstance": (
        ("We are closing the business.", "The project has ended.", "We moved and no longer need it."),
        ("ปิดกิจการแล้วค่ะ", "จบโครงการแล้ว ไม่ได้ใช้ต่อ", "ย้ายที่ทำงานเลยไม่จำเป็นต้องใช้แล้ว"),
    ),
    "unknown": (
        ("Just cancelling for now.", "No particular reason.", "Maybe we will be back."),
        ("ขอยกเลิกก่อนนะคะ", "ไม่มีเหตุผลพิเศษ", "ไว้โอกาสหน้าค่อยกลับมาใช้"),
    ),
    "involuntary": (
        ("I did not know my card had failed.", "The payment did not go through.", "Our card was replaced."),
        ("ไม่ทราบว่าบัตรตัดเงินไม่ผ่าน", "ตัดบัตรไม่ผ่าน", "เปลี่ยนบัตรใหม่เลยตัดเงินไม่ได้"),
    ),
}
# Tickets: subject and body per topic, English and Thai.
TOPICS = ("billing", "how-to", "bug", "login", "feature", "outage", "removal", "price")
_TICKETS: dict[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "billing": (
        ("Question about my invoice", "Hello, why does the invoice show two lines this month? Please explain."),
        ("สอบถามเรื่องใบแจ้งหนี้", "สวัสดีค่ะ เดือนนี้ทำไมใบแจ้งหนี้มีสองรายการคะ รบกวนอธิบายด้วยค่ะ"),
    ),
    "how-to": (
        ("How do I export a report?", "I cannot find where to export last month's report. Could you help?"),
        ("ส่งออกรายงานอย่างไร", "หาเมนูส่งออกรายงานเดือนที่แล้วไม่เจอค่ะ ช่วยแนะนำหน่อย"),
    ),
    "bug": (
        ("Numbers do not add up", "The totals on the dashboard differ from the export. This looks like a bug."),
        ("ตัวเลขไม่ตรงกัน", "ยอดรวมในหน้าแดชบอร์ดไม่ตรงกับไฟล์ที่ส่งออก น่าจะเป็นบั๊กครับ"),
    ),
    "login": (
        ("Cannot log in", "A colleague cannot log in since this morning, the reset mail does not arrive."),
        ("เข้าสู่ระบบไม่ได้", "เพื่อนร่วมงานเข้าระบบไม่ได้ตั้งแต่เช้า อีเมลรีเซ็ตก็ไม่มาครับ"),
    ),
    "feature": (
        ("Feature request", "It would be great to schedule reports. Is that planned?"),
        ("ขอฟีเจอร์เพิ่ม", "อยากให้ตั้งเวลาส่งรายงานได้ มีแผนจะทำไหมคะ"),
    ),
    "outage": (
        ("Sync is down!", "Nothing has synced since this morning and we have a deadline. When will it work again?"),
        ("ซิงก์ไม่ทำงาน ด่วน", "ตั้งแต่เช้าซิงก์ไม่ได้เลย งานต้องส่งวันนี้ เมื่อไหร่จะใช้ได้ครับ"),
    ),
    "removal": (
        ("Classic sync", "You are removing classic sync. We use it every day. What shall we do instead?"),
        ("เรื่องซิงก์แบบเดิม", "จะยกเลิกซิงก์แบบเดิมแล้วเราต้องทำอย่างไรคะ ใช้ทุกวันเลย"),
    ),
    "price": (
        ("New price", "Your mail says that Team costs more from the next renewal. Can we keep our price?"),
        ("ราคาใหม่", "ได้รับอีเมลว่าจะขึ้นราคา ขอใช้ราคาเดิมต่อได้ไหมครับ"),
    ),
}
_NPS = (
    (
        ("Slow answers, and it keeps losing data.", "Too expensive for what it does.", "It is not for us."),
        ("It does the job.", "Fine, but the reports are basic.", "Okay overall."),
        ("We love it, it saves us hours.", "Great tool and friendly people.", "Would recommend to anyone."),
    ),
    (
        ("ตอบช้า แล้วข้อมูลก็หายบ่อย", "แพงเกินไปเมื่อเทียบกับที่ได้", "ไม่เหมาะกับเรา"),
        ("ใช้งานได้", "ก็ดี แต่รายงานยังน้อยไป", "โดยรวมโอเค"),
        ("ชอบมาก ประหยัดเวลาได้เยอะ", "โปรแกรมดี ทีมงานน่ารัก", "แนะนำให้เพื่อนใช้แน่นอน"),
    ),
)
QUESTIONS = {
    "exit": ("Why are you leaving?", "เหตุผลที่ยกเลิกคืออะไร"),
    "nps": ("How likely are you to recommend us?", "คุณจะแนะนำเราให้ผู้อื่นมากน้อยเพียงใด"),
    "csat": ("How satisfied are you with our answer?", "คุณพึงพอใจกับการช่วยเหลือเพียงใด"),
}
AGENTS = ("Arthit", "Bo", "Chloe", "Dao", "Emil", "Fah")
TICKET_CHANNELS = ("email", "chat", "phone", "line")
PRIORITIES = ("low", "normal", "high", "urgent")


class Stated(NamedTuple):
    """What a leaver names: index into REASONS, and the cause its comment speaks of; -1 where nothing is said."""

    reason: Numbers
    comment: Numbers


def stated(chance: Chance, number: Numbers, which: Numbers, cause: Numbers) -> Stated:
    """What customers say who leave for `cause` (-1: did not choose to leave, so were not asked)."""
    u = chance.uniform("states", number, which)
    other = chance.pick("states another", [2, 1, 4, 1.5, 1.5, 1, 2, 1, 3, 3], number, which)
    named = np.where(u < 0.66, cause, other)
    named = np.where((u < 0.92) & (cause >= 0), named, -1)
    writes = (chance.uniform("comments", number, which) < 0.38) & (named >= 0)
    return Stated(np.where(named >= 0, _REASON[np.maximum(named, 0)], -1), np.where(writes, named, -1))


def exit_comment(chance: Chance, number: Numbers, which: Numbers, cause: Numbers, language: Numbers) -> pa.Array:
    """What they write about `cause`, NULL where it is -1."""
    texts = [text for cause_name in hazards.CAUSES for texts in _EXIT[cause_name] for text in texts]
    variant = chance.pick("comment", [1, 1, 1], number, which)
    index = cause * 6 + (language == THAI) * 3 + variant
    return words(texts, np.where(cause >= 0, index, -1))


def _question(kind: str, language: Numbers) -> pa.Array:
    return words(QUESTIONS[kind], (language == THAI).astype(np.int64))


def spoken(lives: Lives, names: Names, clerk: Clerk, chance: Chance, months: Months) -> Iterator[tuple[str, pa.Table]]:
    """The tables `tickets`, `answers` and `mentions` of a chunk."""
    tickets, csat = _tickets(lives, names, clerk, chance)
    yield "tickets", tickets
    yield "answers", csat
    nps, promoters = _nps(lives, names, clerk, chance, months)
    yield "answers", nps
    leavers, critics = _exits(lives, names, clerk, chance)
    yield "answers", leavers
    yield "mentions", _mentions(lives, names, clerk, chance, promoters, critics)


def _tickets(lives: Lives, names: Names, clerk: Clerk, chance: Chance) -> tuple[pa.Table, pa.Table]:
    t = {name: column[lives.tickets["at"] < clerk.end] for name, column in lives.tickets.items()}
    who, n = t["who"], t["number"]
    number = lives.people.who[who]
    language = lives.people.language[who]
    topic = chance.pick("topic", [2, 4, 2.5, 1.5, 1.5], number, n)
    for cause, name in (("quality", "outage"), ("change", "removal"), ("price", "price")):
        topic = np.where(t["cause"] == hazards.CAUSES.index(cause), TOPICS.index(name), topic)
    replied = np.where(t["replied"] < clerk.end, t["replied"], NEVER)
    resolved = np.where(t["resolved"] < clerk.end, t["resolved"], NEVER)
    done = resolved != NEVER
    reopened = (chance.uniform("reopened", number, n) < np.where(t["slow"], 0.22, 0.07)).astype(np.int64)
    happy = 4.3 - 1.6 * t["slow"] - 0.7 * reopened + 0.8 * chance.normal("csat", number, n)
    rates = done & (chance.uniform("rates", number, n) < 0.45)
    score = np.clip(np.floor(happy + 0.5), 1, 5)
    texts = [text for topic_name in TOPICS for text in _TICKETS[topic_name]]
    which = topic * 2 + (language == THAI)
    urgent = np.isin(topic, (TOPICS.index("outage"),))
    priority = np.where(
        urgent, 2 + (chance.uniform("priority", number, n) < 0.5), chance.pick("priority", [2, 6, 1, 0], number, n)
    )
    # Two of the six agents answer most of what is answered late.
    agent = np.where(
        t["slow"] & (chance.uniform("slow agent", number, n) < 0.7),
        chance.pick("agent", [0, 0, 0, 0, 1, 1], number, n),
        chance.pick("agent", [1, 1, 1, 1, 0.4, 0.4], number, n),
    )
    ticket_id = joined("tk", names.number(who), n)
    table = sheet(
        "tickets",
        len(who),
        ticket_id=ticket_id,
        customer_id=names.customer(who),
        channel=words(
            TICKET_CHANNELS,
            np.where(
                language == THAI,
                chance.pick("ticket channel", [3, 2, 1, 4], number, n),
                chance.pick("ticket channel", [5, 4, 1, 0], number, n),
            ),
        ),
        opened_at=t["at"],
        first_replied_at=replied,
        resolved_at=resolved,
        reopened=pa.array(reopened, mask=~done),
        priority=words(PRIORITIES, priority),
        agent=words(AGENTS, np.where(replied != NEVER, agent, -1)),
        subject=words([subject for subject, _ in texts], which),
        body=words([body for _, body in texts], which),
        csat=pa.array(score, mask=~rates),
        recorded_at=clerk.recorded("ticket", number, n, t["at"], late=0.003),
    )
    x = np.flatnonzero(done)
    asked = resolved[x] + HOUR
    answered = np.where(rates[x], asked + 3 * HOUR, NEVER)
    keep = np.maximum(asked, answered) < clerk.end
    x, asked, answered = x[keep], asked[keep], answered[keep]
    answers = sheet(
        "answers",
        len(x),
        answer_id=joined("csat", ticket_id.take(pa.array(x))),
        survey_id="csat-ticket",
        kind="csat",
        customer_id=names.customer(who[x]),
        asked_at=asked,
        answered_at=answered,
        question=_question("csat", language[x]),
        score=pa.array(score[x], mask=~rates[x]),
        recorded_at=clerk.recorded("csat", number[x], n[x], asked, late=0.003),
    )
    return table, answers


def _nps(
    lives: Lives, names: Names, clerk: Clerk, chance: Chance, months: Months
) -> tuple[pa.Table, tuple[Numbers, Numbers]]:
    """Every customer is asked every sixth month, on the eighth day of its billing period."""
    folk = lives.people
    month = np.arange(months.count)[None, :]
    asked_at = lives.active_from[:, 1:] + 8 * DAY
    due = (month + chance.bits("nps month", folk.who)[:, None] % np.uint64(6)) % 6 == 0
    due = due & lives.alive & (lives.active_from[:, 1:] != NEVER) & (asked_at < lives.active_to[:, 1:])
    who, at_month = np.nonzero(due & (asked_at + 3 * DAY < clerk.end))
    number, language = folk.who[who], folk.language[who]
    asked = asked_at[who, at_month]
    level = lives.level[who, at_month + 1]
    mood = level - lives.discontent[who, at_month + 1]
    score = np.clip(np.floor(7.9 + 1.2 * mood + 1.5 * chance.normal("nps", number, at_month)), 0, 10)
    answers = chance.uniform("answers nps", number, at_month) < 0.30 + 0.08 * np.clip(level, -2, 2)
    answered = (
        asked
        + ((0.02 + 2.5 * chance.uniform("nps answered", number, at_month) ** 2) * 86_400).astype(np.int64) * SECOND
    )
    comments = answers & (chance.uniform("nps comments", number, at_month) < 0.3)
    band = np.where(score <= 6, 0, np.where(score <= 8, 1, 2))
    texts = [text for of_language in _NPS for of_band in of_language for text in of_band]
    thai = (language == THAI).astype(np.int64)
    index = thai * 9 + band * 3 + chance.pick("nps comment", [1, 1, 1], number, at_month)
    table = sheet(
        "answers",
        len(who),
        answer_id=joined("nps", names.number(who), at_month),
        survey_id="nps-half-yearly",
        kind="nps",
        customer_id=names.customer(who),
        asked_at=asked,
        answered_at=np.where(answers, answered, NEVER),
        question=_question("nps", language),
        score=pa.array(score, mask=~answers),
        comment=words(texts, np.where(comments, index, -1)),
        language=words(("en", "th"), np.where(comments, thai, -1)),
        recorded_at=clerk.recorded("nps", number, at_month, asked, late=0.003),
    )
    happy = answers & (score >= 9) & (chance.uniform("praises", number, at_month) < 0.08)
    return table, (who[happy], answered[happy])


def _exits(
    lives: Lives, names: Names, clerk: Clerk, chance: Chance
) -> tuple[pa.Table, tuple[Numbers, Numbers, Numbers]]:
    e = lives.exits
    inside = (e["at"] >= clerk.start) & (e["at"] + 2 * DAY < clerk.end)
    who, at, cause = e["who"][inside], e["at"][inside], e["cause"][inside]
    number, language = lives.people.who[who], lives.people.language[who]
    which = at // SECOND
    said = stated(chance, number, which, cause)
    answers = (chance.uniform("answers exit", number, which) < 0.55) & (said.reason >= 0)
    answered = at + ((3 + 2_000 * chance.uniform("exit answered", number, which) ** 4) * 60).astype(np.int64) * SECOND
    comment = np.where(answers, said.comment, -1)
    rival = (
        answers
        & (said.reason == REASONS.index("switched_service"))
        & (chance.uniform("names rival", number, which) < 0.8)
    )
    which_rival = chance.pick("rival", [7, 2, 1], number, which)
    thai = (language == THAI).astype(np.int64)
    table = sheet(
        "answers",
        len(who),
        answer_id=joined("exit", names.number(who), which),
        survey_id="exit",
        kind="exit",
        customer_id=names.customer(who),
        asked_at=at + MINUTE,
        answered_at=np.where(answers, answered, NEVER),
        question=_question("exit", language),
        choice=words(REASONS, np.where(answers, said.reason, -1)),
        comment=exit_comment(chance, number, which, comment, language),
        language=words(("en", "th"), np.where(comment >= 0, thai, -1)),
        competitor=words(world.RIVALS, np.where(rival, which_rival, -1)),
        recorded_at=clerk.recorded("exit", number, which, at + MINUTE, late=0.003),
    )
    nobodys_fault = np.isin(said.comment, [hazards.CAUSES.index("circumstance"), hazards.UNKNOWN, hazards.INVOLUNTARY])
    angry = (chance.uniform("complains", number, which) < 0.12) & (said.comment >= 0) & ~nobodys_fault
    return table, (who[angry], answered[angry], said.comment[angry])


def _mentions(
    lives: Lives, names: Names, clerk: Clerk, chance: Chance,
    promoters: tuple[Numbers, Numbers], critics: tuple[Numbers, Numbers, Numbers],
) -> pa.Table:  # fmt: skip
    """Reviews: some promoters praise, some leavers complain. Whose they are is known for one in three."""
    who = np.concatenate([promoters[0], critics[0]])
    at = np.concatenate([promoters[1] + 2 * DAY, critics[1] + DAY])
    cause = np.concatenate([np.full(len(promoters[0]), -1), critics[2]])
    keep = (at < clerk.end) & (at >= clerk.start)
    who, at, cause = who[keep], at[keep], cause[keep]
    number, language, which = lives.people.who[who], lives.people.language[who], at // SECOND
    thai = (language == THAI).astype(np.int64)
    praise = [text for of_language in _NPS for text in of_language[2]]
    complaint = exit_comment(chance, number, which, cause, language)
    variant = chance.pick("praise", [1, 1, 1], number, which)
    text = pc.coalesce(complaint, words(praise, np.where(cause < 0, thai * 3 + variant, -1)))
    rating = np.where(cause < 0, 5.0, 1.0) - np.sign(0.5 - (cause >= 0)) * (
        chance.uniform("stars", number, which) < 0.35
    )
    known = chance.uniform("reviewer known", number, which) < 0.34
    rival = cause == hazards.CAUSES.index("competition")
    return sheet(
        "mentions",
        len(who),
        mention_id=joined("mn", names.number(who), which),
        source_site=words(world.SITES, chance.pick("site", [5, 3, 2], number, which)),
        author=joined("made-up reviewer", which % 9973, between=" "),
        published_at=at,
        rating=rating,
        text=text,
        language=words(("en", "th"), thai),
        customer_id=pc.if_else(pa.array(known), names.customer(who), pa.nulls(len(who), pa.string())),
        competitor=words(world.RIVALS, np.where(rival, 0, -1)),
        recorded_at=clerk.recorded("mention", number, which, at, late=0.05),
    )
