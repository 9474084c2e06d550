-- Lines of the timeline are found by one spelling of an address (`message.address.found_as`); older ones stand as they were
-- written.

UPDATE event SET address = lower(address) WHERE address <> lower(address);
