"""Purchases with cards: what a network asks and tells, decided, held, taken and given back.

Promise: append-only events under one purchase, whose status (PENDING, SETTLED, VOIDED, EXPIRED,
DECLINED) is derived and never set; the same message has one effect and one answer, however often
and in whatever order it comes; what is held and taken together is never beyond what was allowed,
but for what a network forces on us, and that has a case each; a wallet never goes below zero.
Network-neutral: doors translate (api.sim now, the switch later).

    messages.py  what a network says           requests.py   authorise, increment, advise, inquire
    amounts.py   four amounts, one rate        settling.py   clear, force post, return
    states.py    where a purchase stands       releasing.py  reverse, expire
    records.py   the rows                      retaking.py   a return taken back
    closing.py   a case closed by people       telling.py    what its holder hears
    habits.py    out of pattern, and asking    confirming.py the holder's yes, an intent
    counter.py   books, limits, cards of a     serving.py    the group act, its lanes, deadlines
                 group
    expiring.py  the janitor                   reading.py    what holders and support see
    proof.py     what must be true of it all

Tables owned: authorisations, authorisation_events, open_authorisations, authorisation_cases,
authorisation_case_closings, purchase_habits, purchase_challenges. Who calls: the sim door, the
phones' and support's doors, the worker.
"""
