-- Audit rows tell on whose behalf somebody acted, and what of a holder's personal data they saw.
-- Both are sealed with the row; rows from before have neither and keep the bytes they were sealed
-- with (wallet.seals.leaves.ADDED).
alter table audit add column on_behalf_of text;
alter table audit add column seen text check (seen <> '');
alter table audit add constraint audit_seen_of_somebody check (seen is null or holder_id is not null);
-- "Who looked at my data": the newest looks at one holder.
create index audit_looks on audit (holder_id, seq) where seen is not null;
