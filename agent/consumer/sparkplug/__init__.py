"""The host's side of Sparkplug B: a strict decoder and a monitor that knows what the standard asks of an edge node.

Shares nothing with the encoder: it would not find the encoder's mistakes with the encoder's own eyes.
"""
