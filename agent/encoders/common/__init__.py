"""What encoders share that say readings their own way, and everything around the readings as `json` does.

record ─▶ StatusDialogue ─▶ Renderer (one per encoder) ─▶ messages
"""
