"""Disputes: putting right what went wrong, by new entries, never by an edit.

- `deadlines`   working days: when the holder must have an answer
- `statements`  what people write: card numbers masked before it is kept
- `cases`       opening, finding, and what a case's money adds up to
- `timeline`    what happened around a case, in order
- `refunds`     giving money back: one person, or two above the threshold
- `closing`     ending a case: what is not given back is denied, and nothing still waits
"""
