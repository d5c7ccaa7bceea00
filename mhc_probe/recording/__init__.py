"""Record passes of someone's model: adapters, one per family of models, say where its layers and streams are; hooks
record operations on the state, passes, gradients and padding.
"""
