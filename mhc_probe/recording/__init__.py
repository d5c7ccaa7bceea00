"""Record passes of someone's model. Adapters, one per family of models, find its layers and streams; hooks record
states, operations, gradients and padding.
"""
