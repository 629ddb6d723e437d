-- Who may do what, table by table: the least that each kind of caller's acts need. What is not here
-- only the worker may touch. The ministry's officers read no account, transfer, payment, card or
-- dispute; a bank's clerks no card, dispute or salary.
do $$
declare
    line record;
    caller text;
begin
    for line in select * from (values
        -- what every Work leaves behind
        ('idempotency', 'door mobile atm bank agency support admin', 'select, insert, update'),
        ('audit', 'door mobile atm bank agency support admin', 'insert'),
        ('events', 'door mobile atm bank agency support admin', 'insert'),
        ('jobs', 'door mobile atm bank agency support admin', 'insert, select (dedupe)'),
        -- the programme
        ('banks', 'door mobile atm bank agency support admin', 'select'),
        ('agencies', 'door mobile atm bank agency support admin', 'select'),
        ('public_holidays', 'mobile bank support', 'select'),
        ('terms', 'mobile atm bank support', 'select'),
        ('terms', 'bank', 'insert, update'),
        -- people
        ('holders', 'door mobile atm support', 'select'),
        ('holders', 'bank agency',
         'select (id, bank, agency, staff_no, language, status, created_at)'),
        ('holders', 'bank', 'update (status)'),
        ('holder_names', 'mobile atm bank agency support', 'select'),
        ('smart_ids', 'door mobile atm bank support', 'select'),
        ('smart_ids', 'mobile bank support', 'update'),
        ('smart_ids', 'atm', 'update (changed_at)'), -- no more than locking it
        ('applications', 'bank agency', 'select'),
        ('applications', 'bank', 'update'),
        ('limit_tiers', 'mobile atm bank support', 'select'),
        -- phones, codes, intents
        ('pairings', 'door mobile atm bank', 'select, insert, update, delete'),
        ('pairing_tries', 'door atm bank', 'select, insert, update, delete'),
        ('devices', 'door mobile atm bank', 'select, insert, update'),
        ('pins', 'door mobile', 'select, insert, update'),
        ('sessions', 'door mobile atm bank', 'select, insert, update, delete'),
        ('otp_standing', 'door mobile', 'select, insert, update'),
        ('otp_challenges', 'mobile', 'select, insert, update, delete'),
        ('intents', 'mobile', 'select, insert, update'),
        ('vault_keys', 'door mobile atm bank agency support admin', 'select, insert'),
        -- staff and hosts
        ('staff', 'door bank agency support admin', 'select, update'),
        ('staff_sessions', 'door bank agency support admin', 'select, insert, update, delete'),
        ('approvals', 'bank agency support admin', 'select, insert, update'),
        ('machine_keys', 'door', 'select'),
        ('atm_terminals', 'door atm', 'select'),
        -- money
        ('accounts', 'mobile atm bank support', 'select'),
        ('accounts', 'mobile support', 'insert, update'),
        ('transfers', 'mobile support', 'select, insert'),
        ('open_holds', 'mobile support', 'select, insert, update, delete'),
        ('reversals', 'mobile support', 'select, insert, update'),
        ('shortfalls', 'mobile support', 'select, insert'),
        ('limit_counters', 'mobile atm support', 'select, insert, update'),
        ('exchanges', 'mobile support', 'select'),
        ('exchanges', 'mobile', 'insert'),
        ('qr_payments', 'mobile support', 'select'),
        ('qr_payments', 'mobile', 'insert'),
        ('topups', 'mobile support', 'select'),
        ('topups', 'mobile', 'insert, update'),
        ('balance_checkpoints', 'mobile', 'select'),
        ('journal_positions', 'mobile bank', 'select'),
        ('business_days', 'mobile bank', 'select'),
        ('trial_balances', 'bank', 'select'),
        ('seals', 'mobile', 'select'),
        ('seal_signatures', 'mobile', 'select'),
        ('seal_keys', 'mobile', 'select'),
        ('seal_positions', 'mobile', 'select'),
        -- cards
        ('virtual_cards', 'mobile atm', 'select, insert, update'),
        ('card_changes', 'mobile atm', 'select, insert'),
        ('atm_card_requests', 'mobile atm', 'select, insert, update'),
        -- what the holder was told, and disputes
        ('inbox', 'mobile', 'select'),
        ('events', 'support', 'select'),
        ('disputes', 'mobile support', 'select, insert, update'),
        ('dispute_events', 'mobile support', 'select, insert'),
        ('refunds', 'mobile support', 'select'),
        ('refunds', 'support', 'insert, update'),
        -- payroll
        ('salary_runs', 'agency', 'select, insert, update'),
        ('salary_files', 'agency', 'select, insert'),
        ('salary_lines', 'agency', 'select'),
        ('salary_shares', 'agency', 'select, insert')
    ) as granted (name, callers, privileges)
    loop
        foreach caller in array string_to_array(line.callers, ' ') loop
            perform smartid_open(line.name::regclass, caller, line.privileges);
        end loop;
    end loop;
end $$;

grant usage on sequence dispute_numbers to smartid_mobile, smartid_support;
grant select on sequence transfers_seq_seq to smartid_mobile;
grant select on transfer_legs to smartid_mobile, smartid_support;
