-- Grants of 0022 that let a caller read more than their acts need.
do $$
declare
    line record;
    caller text;
begin
    for line in select * from (values
        -- Every purchase of every holder, with its shop: a clerk is told sums, and those are made
        -- by the house.
        ('control_evaluations', 'bank', 'select'),
        ('control_shadows', 'bank', 'select'),
        -- Only support breaks glass; only admins change roles.
        ('emergency_access', 'bank agency', 'select, insert, update'),
        ('role_changes', 'bank agency support', 'select, insert, update'),
        -- A number is changed at the bank's and the ATM's door alone.
        ('number_changes', 'door mobile', 'select, insert, update'),
        -- Tokens are made by phones; what becomes of a card is told to them by the worker.
        ('card_tokens', 'atm', 'select, insert, update')
    ) as taken (name, callers, privileges)
    loop
        foreach caller in array string_to_array(line.callers, ' ') loop
            execute format('revoke %s on %I from smartid_%s', line.privileges, line.name, caller);
        end loop;
    end loop;
end $$;

-- Two of a bank's staff order that a person who has gone be erased.
insert into role_permissions (role, permission) values
    ('maker', 'erasure.ask'), ('checker', 'erasure.approve');
