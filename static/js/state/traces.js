/** Opens recordings from files and links, and adds matching synthetic runs (twins). */

import { signal } from '@preact/signals';
import { ApiError, getRun, getTwin } from '../net/api.js';
import { postTrace } from '../net/upload.js';
import { commit } from './actions.js';
import { boot } from './boot.js';
import * as state from './signals.js';
import { replacesInput, tracesOf, withSpec, withTrace } from './viewtraces.js';

const OTHER_INPUT = 'seed and input: those of the other runs are used, so that the runs can be compared';

/** A file that is being uploaded. @typedef {{name: string, share: number}} Sending */

export const sending = signal(/** @type {Sending | null} */ (null));
/** Sentences that explain why the last recording was not opened; empty on success. */
export const failure = signal(/** @type {string[]} */ ([]));
/** A sentence about what opening a recording changed in the view. */
export const adapted = signal('');
/** Sentences about settings that a twin could not match, by id of the recording. */
export const unmatched = signal(/** @type {Record<string, string[]>} */ ({}));

let aborting = new AbortController();

/** Return whether the view has room for another run. */
export const hasRoom = () => state.view.value.runs.length < boot.rules.letters.length;

/** Upload files one after the other, and add each to the view. @param {Iterable<File>} files */
export async function openFiles(files) {
  for (const file of files) if (!(await openFile(file))) return;
}

/** Upload a file and show it. @param {File} file @returns {Promise<boolean>} whether it is shown */
async function openFile(file) {
  if (sending.value) return showFailure(['Another file is being sent. Try again when it is done.']);
  if (!hasRoom()) return showFailure([fullMessage()]);
  aborting = new AbortController();
  failure.value = [];
  sending.value = { name: file.name, share: 0 };
  try {
    const { id } = await postTrace(file, (share) => (sending.value = { name: file.name, share }), aborting.signal);
    return await showRecording(id);
  } catch (error) {
    return aborting.signal.aborted ? false : showRefusal(error, file.name);
  } finally {
    sending.value = null;
  }
}

/** Cancel the upload. */
export const stopSending = () => aborting.abort();

/** Show a record by id: a recording, or a run with its spec. @param {string} id */
export async function openRecord(id) {
  if (!hasRoom()) return showFailure([fullMessage()]);
  try {
    const { spec } = await getRun(id);
    if (spec === null) return await showRecording(id);
    failure.value = [];
    commit(
      () => (state.view.value = withSpec(state.fields.value, state.view.value, spec, state.view.value.runs.length)),
    );
    return true;
  } catch (error) {
    return showRefusal(error, id);
  }
}

/** Insert a recording as the first run, set all runs to its depth, and scroll to the picture. @param {string} id */
async function showRecording(id) {
  if (tracesOf(state.view.value).includes(id)) return showFailure(['This recording is already open.']);
  const depth = await readDepth(id);
  failure.value = [];
  const before = depthOfSpec(state.settings.value.base);
  commit(() => (state.view.value = withTrace(state.view.value, id, depth)));
  scrollTo(0, 0);
  state.announcement.value = 'The recording is open as run A.';
  adapted.value =
    depth === null || depth === before ? '' : `Depth set to ${depth}, as in the recording. Back undoes it.`;
  return true;
}

/** Fetch the number of layers of a recording; null while it grows. @param {string} id @returns {Promise<number | null>} */
async function readDepth(id) {
  const { status } = await getRun(id);
  return status === 'running' ? null : depthOfSpec((await getTwin(id)).spec);
}

/** Return the depth of a spec. @param {{depth?: any}} spec settings that differ from the default */
const depthOfSpec = ({ depth }) => Number(depth ?? state.fields.value.get('depth')?.initial);

/** Insert a synthetic run with the depth, streams and initialisation of a recording after it. @param {number} run index of the recording */
export async function makeTwin(run) {
  const id = state.view.value.runs[run].trace;
  if (!id) return;
  try {
    const { spec, unknown } = await getTwin(id);
    failure.value = [];
    const isOther = replacesInput(state.fields.value, state.view.value, spec);
    unmatched.value = { ...unmatched.value, [id]: [...unknown, ...(isOther ? [OTHER_INPUT] : [])] };
    commit(() => (state.view.value = withSpec(state.fields.value, state.view.value, spec, run + 1)));
  } catch (error) {
    showRefusal(error, 'Matching run');
  }
}

/** Remove the message that a recording could not be opened. */
export function forgetFailure() {
  failure.value = [];
}

/** Show why the server refused a recording, with the fields that it names. @param {unknown} error @param {string} subject */
function showRefusal(error, subject) {
  if (!(error instanceof ApiError)) throw error;
  const messages = error.errors.map(
    ({ field, got, wanted }) => `${field}: got ${formatReceived(got)}, wanted ${wanted}.`,
  );
  return showFailure([`${subject}: ${error.title}.`, ...(messages.length > 0 ? messages : [error.message])]);
}

/** Format a refused value. @param {unknown} got */
const formatReceived = (got) => (typeof got === 'string' ? got : JSON.stringify(got));

/** Show sentences about a recording that could not be opened; return false. @param {string[]} sentences */
function showFailure(sentences) {
  failure.value = sentences;
  return false;
}

const fullMessage = () => `${boot.rules.letters.length} runs is the maximum. Remove one first.`;
