"""Links of edited runs: the page writes their edits as text into the address, and reads the same specs from it."""

import json
import subprocess

from mhc_core.spec import RunSpec, parse_spec
from tests.app.pages.test_derived import find_node
from tests.core.drawn import draw_edited
from tests.core.figures.filled import ROOT

SCRIPT = """
import { readFileSync } from 'node:fs';
import { fromHash, toHash } from './static/js/state/hash.js';
import { fromSpecs, toFields, toSpecs } from './static/js/state/spec.js';
import { viewRules } from './tests/js/sent.js';
const { schema, specs } = JSON.parse(readFileSync(0, 'utf8'));
const fields = toFields(schema);
const answers = specs.map((spec) => {
  const hash = `#${toHash(fromSpecs(fields, [spec]), viewRules)}`;
  const { view, problems } = fromHash(hash, fields, viewRules);
  return { hash, problems, specs: toSpecs(fields, view) };
});
console.log(JSON.stringify(answers));
"""
COUNT = 200


def test_a_link_to_random_edited_specs_has_their_ids() -> None:
    wanted = [parse_spec(spec) for spec in draw_edited(COUNT, seed=5)]
    command = [find_node(), "--input-type=module", "--eval", SCRIPT]
    sent = json.dumps({"schema": RunSpec.model_json_schema(), "specs": [spec.canonical() for spec in wanted]})
    found = subprocess.run(command, cwd=ROOT, input=sent, capture_output=True, text=True, check=True).stdout
    answers = json.loads(found)
    assert len(answers) == COUNT
    for spec, answer in zip(wanted, answers, strict=True):
        assert answer["problems"] == [], answer["hash"]
        assert [parse_spec(found).id for found in answer["specs"]] == [spec.id], answer["hash"]
        assert "edits=" in answer["hash"]
