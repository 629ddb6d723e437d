"""People, their banks and agencies, their applications and their Smart IDs."""
