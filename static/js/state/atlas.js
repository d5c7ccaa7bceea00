/** The atlas of each run: computed on request by the server, which keeps it. It is that of the run without its edits; a recording can bring its own. */

import { computed, signal } from '@preact/signals';
import { ApiError, cancelAtlas, getAtlas, getRun, postAtlas, postRun, retryWhileBusy, wait } from '../net/api.js';
import { updateAddress } from './actions.js';
import { ATLAS, EDITS } from './editlist.js';
import * as state from './signals.js';
import { stackOf, TRACE, toSpec } from './spec.js';

/** @typedef {import('../../types').Atlas} Atlas */
/**
 * An atlas and its status. `absent`: the server has none; `waiting`: the run without edits is computed first, under `id`.
 * @typedef {{status: 'absent' | 'waiting' | 'running' | 'done' | 'failed', id: string, atlas: Atlas | null, message: string}} Entry
 */

const POLL_MS = 250;

/** Atlases by spec without edits, or by id of a recording. @type {import('@preact/signals').Signal<Map<string, Entry>>} */
const entries = signal(new Map());
/** Ends the current computation. */
let computing = new AbortController();

/** Say for each run why it has no atlas, after its name; empty if it can have one. */
export const reasons = computed(() => {
  const view = state.settings.value;
  state.dataTick.value;
  return view.runs.map((choice, run) => {
    if (choice.kind === TRACE) return state.slots.value[run]?.columns.hasAtlas ? '' : 'is a recording without an atlas';
    const { streams, has_mixing } = stackOf(state.fields.value, view, choice);
    return has_mixing && streams === 1 ? 'has one stream: a cut removes the whole signal' : '';
  });
});

/** Specs of the view's runs without edits, or ids of recordings, as JSON; null for those that have no atlas. */
const keys = computed(() => {
  const view = state.settings.value;
  return view.runs.map((choice, run) => {
    if (reasons.value[run]) return null;
    if (choice.kind === TRACE) return JSON.stringify(choice.trace);
    return JSON.stringify(toSpec(state.fields.value, view, { ...choice, own: { ...choice.own, [EDITS]: '' } }));
  });
});

/** The atlas of each run; undefined before it was requested, null if the run cannot have one. */
export const atlases = computed(() => keys.value.map((key) => (key === null ? null : entries.value.get(key))));

/** Whether the server computes cuts of the view's runs. */
export const isComputingAtlases = computed(() => atlases.value.some((entry) => entry && isOpen(entry)));

/** Whether the atlas starts as soon as the runs have ended: after its button, and at first where the address opens it. */
export const isWanted = signal(true);

/** Return whether an atlas is computed or waits. @param {Entry} entry */
const isOpen = ({ status }) => status === 'waiting' || status === 'running';

/** Show what one way of cutting does at every layer (the atlas); null closes it. @param {string | null} act */
export function showCut(act) {
  state.setCard(ATLAS, act ?? undefined);
  updateAddress();
}

/** Change fields of the entry of a spec's atlas. @param {string} key @param {Partial<Entry>} change */
function updateEntry(key, change) {
  const entry = entries.value.get(key) ?? { status: 'absent', id: '', atlas: null, message: '' };
  entries.value = new Map(entries.value).set(key, { ...entry, ...change });
}

/** Compute the atlases of all runs in turn, those with the most streams first. The server returns stored ones immediately. */
export async function computeAtlases() {
  stopAtlases();
  computing = new AbortController();
  const view = state.settings.value;
  const streams = new Map(
    keys.value.map((key, run) => [key, stackOf(state.fields.value, view, view.runs[run]).streams]),
  );
  const wanted = [...streams.keys()]
    .filter((key) => key !== null && entries.value.get(key)?.status !== 'done')
    .sort((one, other) => Number(streams.get(other)) - Number(streams.get(one)));
  await runInTurn(wanted, async (key, aborted) => {
    updateEntry(key, { status: 'waiting', message: '' });
    const wanted = JSON.parse(key);
    if (typeof wanted === 'string') return await followAtlas(key, await getAtlas(wanted, aborted), aborted);
    const { id } = await postRun(wanted, aborted);
    updateEntry(key, { id });
    await waitForRun(id, aborted);
    await followAtlas(key, await postAtlas(id, aborted), aborted);
  });
}

/** Cancel the running computations of atlases. */
export function stopAtlases() {
  computing.abort();
  isWanted.value = false;
  for (const [key, entry] of entries.value) {
    if (!isOpen(entry)) continue;
    updateEntry(key, { status: 'absent', atlas: null });
    if (entry.id) cancelAtlas(entry.id).catch(ignoreRefusal);
  }
}

/** Ignore a refusal: the atlas is not the caller's own, or has ended. @param {unknown} error */
function ignoreRefusal(error) {
  if (!(error instanceof ApiError)) throw error;
}

/** Run an action for each spec in turn, and store a refusal with its spec. @param {(string | null)[]} specs @param {(key: string, aborted: AbortSignal) => Promise<void>} act */
async function runInTurn(specs, act) {
  const { signal: aborted } = computing;
  for (const key of specs) {
    if (key === null) continue;
    try {
      await retryWhileBusy(
        () => act(key, aborted),
        () => !aborted.aborted,
      );
    } catch (error) {
      if (aborted.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      updateEntry(key, { status: 'failed', message: error.message });
    }
  }
}

/** Wait until a run has ended. @param {string} id @param {AbortSignal} aborted */
async function waitForRun(id, aborted) {
  while (['queued', 'running'].includes((await getRun(id)).status)) await wait(POLL_MS, aborted);
}

/** Poll an atlas until it is done. @param {string} key @param {Atlas} first @param {AbortSignal} aborted */
async function followAtlas(key, first, aborted) {
  let atlas = first;
  for (;;) {
    aborted.throwIfAborted();
    updateEntry(key, { status: atlas.status === 'done' ? 'done' : 'running', atlas });
    if (atlas.status === 'done') return;
    await wait(POLL_MS, aborted);
    atlas = await getAtlas(atlas.run, aborted);
  }
}
