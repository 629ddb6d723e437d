-- The same for phones' numbers, staff, machines, cards, controls and purchases.
do $$
declare
    line record;
    caller text;
begin
    for line in select * from (values
        -- phones: 0014
        ('number_changes', 'door mobile atm bank', 'select, insert, update'),
        -- a clerk changes a number, and cannot look for whose a number is
        ('holders', 'bank atm', 'select (phone_sealed), update (phone_sealed, phone_index)'),
        -- staff: 0015
        ('passkeys', 'door bank agency support admin', 'select, insert, update, delete'),
        ('passkey_challenges', 'door bank agency support admin', 'select, insert, update, delete'),
        ('passkey_tickets', 'door bank agency support admin', 'select, insert, update, delete'),
        ('staff_roles', 'door bank agency support admin', 'select'),
        ('role_permissions', 'door bank agency support admin', 'select'),
        ('role_changes', 'admin', 'select, insert, update'),
        ('role_changes', 'bank agency support', 'select, insert, update'),
        ('emergency_access', 'bank agency support', 'select, insert, update'),
        -- hosts: 0016
        ('machine_certificates', 'door', 'select'),
        ('machine_nonces', 'door atm bank agency', 'select, insert'),
        -- cards, controls, authorisations: 0018 to 0020
        ('card_tokens', 'mobile atm', 'select, insert, update'),
        ('card_standing_uses', 'mobile', 'select, insert, update'),
        ('control_sheets', 'mobile bank', 'select, insert, update'),
        ('control_shadows', 'mobile', 'select, insert'),
        ('control_shadows', 'bank', 'select'),
        ('control_evaluations', 'mobile', 'select, insert'),
        ('control_evaluations', 'bank', 'select'),
        ('authorisations', 'mobile support', 'select'),
        ('authorisation_events', 'mobile support', 'select'),
        ('authorisation_cases', 'support', 'select'),
        ('open_authorisations', 'mobile', 'select'),
        ('purchase_challenges', 'mobile', 'select, insert, update'),
        ('purchase_habits', 'mobile', 'select')
    ) as granted (name, callers, privileges)
    loop
        foreach caller in array string_to_array(line.callers, ' ') loop
            perform smartid_open(line.name::regclass, caller, line.privileges);
        end loop;
    end loop;
end $$;

-- Who may do at a branch what other rooms have since learnt.
insert into role_permissions (role, permission) values
    ('checker', 'person.export'),
    ('maker', 'number.ask'), ('checker', 'number.approve'),
    ('maker', 'device.revoke'), ('checker', 'device.revoke');
