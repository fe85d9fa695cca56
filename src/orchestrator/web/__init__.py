"""What strangers see over HTTP: inbox, event log, profile, shapes and problems (floor 4)."""
