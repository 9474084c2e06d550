"""Stand-ins for what a test must not depend on: the clock, the DNS, and foreign servers."""
