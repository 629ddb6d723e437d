"""Tells people what happened: hears the wallet's events, never touches money.

Reading order: catalogue (events in words), inbox (what is kept for each holder), delivery (from
the outbox to the inbox, exactly once, and the wake-up of live streams), live (who is listening),
channels (the ways out of the house).
"""
