"""Who sent this? SPF, DKIM, ARC, DMARC, iprev and Authentication-Results, as pure functions over a Resolver."""
