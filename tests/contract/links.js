/**
 * Reads hashes with the modules of a checkout: which view each opens, and which specs that asks for.
 * Standard input: {modules: {function name: file}, schema, rules, hashes, comparisons}; each comparison is a list of whole specs.
 */

import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const { modules, schema, rules, hashes, comparisons } = JSON.parse(readFileSync(0, 'utf8'));
const page = {};
for (const [name, file] of Object.entries(modules)) page[name] = (await import(pathToFileURL(file).href))[name];
const fields = page.toFields(schema);

function open(hash) {
  const { view, problems } = page.fromHash(hash, fields, rules);
  return {
    hash,
    view,
    problems,
    specs: page.toSpecs(fields, view),
    label: page.toLabels(view, fields, rules),
    again: page.toHash(view, rules),
  };
}

const written = comparisons.map((specs) => open(page.toHash(page.fromSpecs(fields, specs), rules)));
process.stdout.write(JSON.stringify([...hashes.map(open), ...written]));
