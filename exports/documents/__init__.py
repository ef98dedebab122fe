"""Paper: blank forms for when the system is down, and the casebook of a participant, as PDF."""
