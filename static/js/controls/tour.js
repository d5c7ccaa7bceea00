/** Five steps through the story, each beside what it speaks of and with this view's numbers. It starts only when asked. */

import { signal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { bringIntoSight } from '../cards/story.js';
import { specOf } from '../data/record.js';
import { recall, remember } from '../state/memory.js';
import * as state from '../state/signals.js';
import { html } from '../ui/html.js';

const KEY = 'tour';
const GAP_PX = 10;

const isSeen = signal(recall(KEY) === 'seen');
/** The step that is shown, null where the tour is not on. */
const at = signal(/** @type {number | null} */ (null));

/** @typedef {{title: string, anchor: string, panel?: string, text: () => string}} Step */

/** @type {Step[]} */
const STEPS = [
  {
    title: 'Depth',
    anchor: '.controls [data-path=depth], .settings-button',
    text: () =>
      `This stack has ${depth()} layers. Drag its slider, under Settings: every run is computed anew, forward and backward, and all figures follow.`,
  },
  {
    title: 'What a residual connection does',
    anchor: '#panel-activation',
    panel: 'activation',
    text: () => `Each layer adds to one stream and passes it on unchanged. ${told('residual', 'activation')}`,
  },
  {
    title: 'What HC gains and risks',
    anchor: '#panel-gain',
    panel: 'gain',
    text: () =>
      `Hyper-Connections keep several streams and let every layer mix them freely: the product of their mixing matrices grows by one factor with each layer. ${told('hc', 'connection')}`,
  },
  {
    title: 'What mHC mends',
    anchor: '#panel-mixing',
    panel: 'mixing',
    text: () =>
      `mHC brings each mixing matrix close to a doubly stochastic one, whose rows and columns sum to one: a product of any number of those keeps the mean of the streams as it is. ${told('mhc', 'connection')}`,
  },
  {
    title: 'Where to look',
    anchor: '.scrubber',
    text: () =>
      `This slider puts one cursor through all figures; it is at layer ${state.cursor.value + 1} of ${state.layers.value}. Under “?” a figure says how to read it, in its menu are its numbers, and Share keeps them behind a short link.`,
  },
];

function depth() {
  const field = state.fields.value.get('depth');
  return field ? state.baseValue(field) : state.layers.value;
}

/** What the first run of a kind has found, in its own words. @param {string} kind @param {string} key */
function told(kind, key) {
  state.dataTick.value;
  const slot = state.slots.value.find((item) => specOf(item.columns)?.connection.kind === kind);
  if (!slot) return 'No run of this view uses this connection. Add one under Compared.';
  const finding = slot.columns.summary?.findings.find((item) => item.key === key);
  return finding ? `Here, ${slot.label}: ${finding.text}` : `${slot.label} is being computed.`;
}

/** @param {number | null} step */
function go(step) {
  at.value = step;
  state.pointed.value = step === null ? null : (STEPS[step].panel ?? null);
  if (step !== null) return;
  isSeen.value = true;
  remember(KEY, 'seen');
  const buttons = /** @type {HTMLElement[]} */ ([...document.querySelectorAll('.tour-button, .topbar .fold-button')]);
  buttons.find((button) => button.checkVisibility())?.focus();
}

export function TourButton() {
  return html`<button type="button" class=${`tour-button ${isSeen.value ? '' : 'unseen'}`} onClick=${() => go(0)}>${isSeen.value ? 'Tour' : 'Take the tour'}</button>`;
}

export function Tour() {
  return at.value === null ? null : html`<${StepCard} key=${at.value} step=${at.value} />`;
}

/** @param {{step: number}} props */
function StepCard({ step }) {
  const card = useRef(/** @type {HTMLElement | null} */ (null));
  const { title, anchor, text } = STEPS[step];
  const isLast = step === STEPS.length - 1;
  useLayoutEffect(() => {
    const target = [...document.querySelectorAll(anchor)].find((element) => element.checkVisibility()); // on a phone settings are closed
    if (target) bringIntoSight(target, 'instant');
    if (target && card.current) placeBeside(card.current, target);
    card.current?.focus({ preventScroll: true });
    target?.classList.add('toured');
    return () => target?.classList.remove('toured');
  }, []);
  useEffect(() => {
    const leave = (/** @type {KeyboardEvent} */ event) => {
      if (event.key === 'Escape' && !document.querySelector('dialog[open], :popover-open')) go(null);
    };
    addEventListener('keydown', leave);
    return () => removeEventListener('keydown', leave);
  }, []);
  return html`
    <section class="tour card" ref=${card} tabindex="-1" role="dialog" aria-labelledby="tour-title" aria-describedby="tour-text">
      <h2 id="tour-title">${title}</h2>
      <p id="tour-text">${text()}</p>
      <div class="tour-foot">
        <span class="hint">${step + 1} of ${STEPS.length}</span><span class="spacer"></span>
        ${isLast ? null : html`<button type="button" class="reset" onClick=${() => go(null)}>Skip the tour</button>`}
        ${step > 0 ? html`<button type="button" onClick=${() => go(step - 1)}>Back</button>` : null}
        <button type="button" class="primary" onClick=${() => go(isLast ? null : step + 1)}>${isLast ? 'Done' : 'Next'}</button>
      </div>
    </section>
  `;
}

/** Below what it speaks of, else above it; it scrolls with it, unless that stays where it is. @param {HTMLElement} card @param {Element} target */
function placeBeside(card, target) {
  const bar = target.closest('.controls, .scrubber, .topbar');
  const isFixed = bar !== null && getComputedStyle(bar).position === 'sticky';
  const place = target.getBoundingClientRect();
  const floor = innerHeight - (document.querySelector('.scrubber')?.getBoundingClientRect().height ?? 0);
  const isBelow = place.bottom + GAP_PX + card.offsetHeight < floor;
  const top = isBelow ? place.bottom + GAP_PX : Math.max(GAP_PX, place.top - GAP_PX - card.offsetHeight);
  const left = Math.min(Math.max(place.left, GAP_PX), document.documentElement.clientWidth - card.offsetWidth - GAP_PX);
  card.style.setProperty('position', isFixed ? 'fixed' : 'absolute');
  card.style.setProperty('top', `${top + (isFixed ? 0 : scrollY)}px`);
  card.style.setProperty('left', `${left + (isFixed ? 0 : scrollX)}px`);
}
