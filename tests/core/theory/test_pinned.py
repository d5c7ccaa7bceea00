"""Theory says what it said: no curve and no width of a band has moved unseen."""

import json

import numpy as np

from tests.core.theory.pinned import FILE, compute


def test_curves_and_bands_are_those_of_the_file() -> None:
    told, found = json.loads(FILE.read_text()), compute()
    assert told.keys() == found.keys()
    for name, curves in found.items():
        assert told[name].keys() == curves.keys(), name
        for metric, parts in curves.items():
            wanted = told[name][metric]
            assert parts.pop("formula") == wanted.pop("formula"), f"{name} {metric}"
            for part, values in parts.items():
                # Eight digits are kept; widths are a hundredth and more.
                where = f"{name} {metric} {part}"
                due, got = (np.array(numbers, dtype=float) for numbers in (wanted[part], values))
                np.testing.assert_allclose(got, due, rtol=1e-6, atol=1e-7, err_msg=where)
