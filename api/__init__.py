"""Every door: parse, name the caller, call one act, render. No SQL, no rules, no clock."""
