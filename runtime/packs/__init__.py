"""The packs that ship. Every module in here with an attribute `pack` is found by the registry."""
