"""How Trimtab goes: Apps release all that they own, and then what is the controller's own is let go."""
