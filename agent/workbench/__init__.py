"""Floor 4: what an integrator does at a bench with devices that have no agent yet."""
