/** Settings and notes of a view for exports. No browser here. */

import { sourceOf } from '../data/record.js';
import { describeEdits, EDITS, listActive } from '../state/editlist.js';
import { appliesTo, fromSpecs, KIND, kindName, nameOf, settingOf, toDifferences } from '../state/spec.js';

/** @import { Columns, Field, StartFrame, Value } from '../../types' @import { Source } from '../data/record.js' */
/**
 * @typedef {{title: string, value: string}} Setting
 * @typedef {{shared: Setting[], own: {title: string, values: string[]}[]}} Settings `own`: one value per run
 */

const LONG = 80; // shown characters of a value; the specs contain all of it

/** List all settings that apply to the specs: shared by all, or one value per run. @param {Map<string, Field>} fields @param {any[]} specs @returns {Settings} */
export function toSettings(fields, specs) {
  const view = fromSpecs(fields, specs);
  const differing = toDifferences(fields, view);
  const shared = [...fields.values()].flatMap((field) => {
    const choice = view.runs.find((item) => appliesTo(fields, view, item, field));
    const isShared = choice !== undefined && !differing.some((item) => item.field === field);
    return isShared ? [{ title: field.title, value: formatSetting(field, settingOf(view, choice, field)) }] : [];
  });
  const own = differing.map(({ field, values }) => ({
    title: field.title,
    values: values.map((value) => (value === null ? '–' : formatSetting(field, value))),
  }));
  return { shared, own };
}

/** Format the value of a setting, with its unit. @param {Field} field @param {Value} value */
function formatSetting(field, value) {
  if (field.path === KIND) return kindName(String(value));
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (field.options) return nameOf(value);
  if (field.control === EDITS) return describeEdits(listActive(String(value)));
  const text = String(value).replaceAll(/\s+/g, ' ');
  const short = text.length > LONG ? `${text.slice(0, LONG)}…` : text;
  const isUnitInTitle = field.type === 'string' || field.title.toLowerCase().includes(field.unit); // such as Seeds
  return isUnitInTitle ? short : `${short} ${value === 1 ? field.unit.replace(/s$/, '') : field.unit}`;
}

/**
 * List the notes below exported numbers: seeds, estimators, training, versions.
 * @param {Columns[]} runs
 * @param {string[]} labels
 * @param {boolean} isDifference
 * @param {string} [part] the exported layers in words; default: all
 * @returns {string[]}
 */
export function toNotes(runs, labels, isDifference, part = '') {
  const starts = runs.flatMap((columns) => (columns.start ? [columns.start] : []));
  if (starts.length === 0) return [];
  const perRun = (/** @type {(start: StartFrame, source: Source) => string} */ describe) =>
    mergeSentences(
      starts.map((start) => describe(start, sourceOf(start))),
      labels,
    );
  const difference = 'Each run is shown relative to A: as a ratio on logarithmic axes, as a difference elsewhere.';
  return [
    ...(part ? [`Figures and their numbers cover ${part}; headlines and sentences cover all layers.`] : []),
    ...(isDifference ? [difference] : []),
    ...perRun((_, source) => (source.kind === 'spec' ? seedsNote(source.spec) : traceNote(source))),
    ...perRun((_, source) => (source.kind === 'spec' ? trainingNote(source.spec) : '')),
    ...perRun(({ cka }) => (cka ? `CKA: the ${cka.estimator} estimator over ${cka.samples} samples.` : '')),
    ...perRun(({ device, versions }, source) => {
      const made = source.kind === 'spec' ? `Computed in ${source.spec.dtype}` : 'Measured';
      return `${made} on ${device.name}, by ${versionsNote(versions)}.`;
    }),
    'Values outside the range of their type are given as logarithms; nan marks what is not a number.',
  ];
}

/** Describe how a run was trained; empty without training. @param {Record<string, any>} spec */
function trainingNote({ train }) {
  return train?.steps > 0
    ? `Measured after ${train.steps} steps of training.`
    : 'Measured at initialisation, without training.';
}

/** Describe the model of a recording and the versions that made the recording. @param {import('../../types').TraceSource} source */
function traceNote({ model, versions }) {
  return `A recording of ${model.name}, ${model.parameters} parameters, made with ${versionsNote(versions)}. Its seed, training and type are unknown.`;
}

/** Describe the seed or seeds of a run. @param {Record<string, any>} spec */
function seedsNote(spec) {
  if (!(spec.seeds > 1)) return `One draw of the weights, from seed ${spec.seed}. Other seeds give other numbers.`;
  return `Curves are medians of ${spec.seeds} seeds; bands span their 5th to 95th percentile, dotted lines are seed ${spec.seed}.`;
}

/** List the versions of the packages that computed a run. @param {object} versions */
function versionsNote(versions) {
  return Object.entries(versions)
    .map(([name, version]) => `${name.replaceAll('_', '-')} ${version}`)
    .join(', ');
}

/** Return one sentence if all runs have the same, else one per run. @param {string[]} sentences @param {string[]} labels */
function mergeSentences(sentences, labels) {
  const isSame = sentences.every((text) => text === sentences[0]);
  const all = isSame ? sentences.slice(0, 1) : sentences.map((text, run) => text && `${labels[run]}: ${text}`);
  return all.filter(Boolean);
}
