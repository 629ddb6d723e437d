-- What is swept by its age and has no id that sorts by time (wallet.retention). Rows of one time lie
-- together, so a summary of each stretch of pages is enough and costs a write next to nothing.
create index idempotency_at on idempotency using brin (at) with (pages_per_range = 32);
create index atm_card_requests_at on atm_card_requests using brin (at) with (pages_per_range = 32);
-- The worker, which may what the application may, takes away what is older than any local date that is
-- still accepted; the doors' roles may as little as before.
grant delete on atm_card_requests to smartid_app;
