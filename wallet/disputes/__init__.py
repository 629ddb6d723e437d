"""Disputes: putting right what went wrong, by new entries, never by an edit.

- `deadlines`  working days: when the holder must have an answer
- `cases`      opening, finding, the timeline, closing
- `refunds`    giving money back: one person, or two above the threshold
"""
