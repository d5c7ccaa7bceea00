"""The default text input. It was written for this program, so that results need no licence of a text."""

DEFAULT_TEXT = """\
A deep network is a long row of small steps. Each step reads what came before, works out a
correction and adds it. The adding is the whole trick: a signal that is only passed on and corrected
can cross a thousand layers, while one that is rewritten at every layer fades or explodes within
twenty. For ten years this single road was enough. Then people widened it into several lanes and let
every layer choose how the lanes exchange their traffic. The lanes carried more, and the models
learned faster. But a little exchange at each of sixty layers is a product of sixty matrices, and
products of matrices remember nothing kindly: what is a tenth too large at one layer is five hundred
times too large at the end. The cure is old. If every row and every column of the exchange sums to
one, nothing can be made and nothing can be lost; lanes may share, but the traffic as a whole stays
what it was. Watch the curves, move a slider, and see which of the three roads still carries its
signal when you make it longer.
"""
