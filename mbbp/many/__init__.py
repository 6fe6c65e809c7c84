"""Many networks: trained at the same time, on one machine or several, and used together as an ensemble."""
