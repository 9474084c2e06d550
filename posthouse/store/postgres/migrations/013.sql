-- Large flag changes are logged from here on. Nodes that do not read the log would show old flags: `migrate.WAITS` holds
-- this step back until none is alive, and with it in the database none starts any more.
COMMENT ON TABLE flag_log IS 'flag changes that placements do not show yet';
