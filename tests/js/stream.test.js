import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { followRuns } from '../../static/js/stream.js';

/** The browser's EventSource, as far as the page uses it, driven by hand. */
class FakeSource {
  static OPEN = 1;
  static CLOSED = 2;
  static opened = [];
  constructor(url) {
    Object.assign(this, { url, readyState: 1, listeners: {} });
    FakeSource.opened.push(this);
  }
  addEventListener(type, listener) {
    this.listeners[type] = listener;
  }
  close() {
    this.readyState = FakeSource.CLOSED;
  }
  frame(run, index, type = 'forward') {
    this.listeners[type]({ data: JSON.stringify({ run, index, type }) });
  }
}
globalThis.EventSource = FakeSource;

const page = new EventTarget();
page.visibilityState = 'visible';
globalThis.document = page;
globalThis.addEventListener = page.addEventListener.bind(page);

const seen = [];
const connections = [];
let refusals = 0;
const handlers = {
  onFrame: ({ run, index }) => seen.push(`${run}${index}`),
  onStatus: () => {},
  onConnection: (isUp) => connections.push(isUp),
  onRefused: () => refusals++,
};
let left = new AbortController();
afterEach(() => left.abort());
beforeEach(() => {
  left = new AbortController();
  for (const list of [seen, connections, FakeSource.opened]) list.length = 0;
});
const query = (source) => new URL(source.url, 'http://host').searchParams;

test('all runs come on one connection, which is closed when the last has ended', () => {
  followRuns(['a', 'b'], handlers, left.signal);
  const [source] = FakeSource.opened;
  assert.equal(query(source).get('ids'), 'a,b');
  assert.equal(query(source).get('after'), null);
  source.frame('a', 0, 'start');
  source.frame('a', 1, 'end');
  assert.equal(source.readyState, 1);
  source.frame('b', 0, 'end');
  assert.equal(source.readyState, FakeSource.CLOSED);
  assert.deepEqual(seen, ['a0', 'a1', 'b0']);
});

test('a lost connection is told, and taken up behind the last frames; what is sent again counts once', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  followRuns(['a', 'b'], handlers, left.signal);
  const [source] = FakeSource.opened;
  source.frame('a', 0);
  source.frame('a', 1);
  source.close();
  source.listeners.error();
  assert.deepEqual(connections, [false]);
  context.mock.timers.tick(1000);
  const [, second] = FakeSource.opened;
  assert.equal(query(second).get('after'), '1,-1');
  second.frame('a', 1);
  second.frame('b', 0);
  assert.deepEqual(seen, ['a0', 'a1', 'b0']);
});

test('while the browser itself reconnects, no second connection is opened', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  followRuns(['a'], handlers, left.signal);
  const [source] = FakeSource.opened;
  source.readyState = 0;
  source.listeners.error();
  context.mock.timers.tick(5000);
  assert.equal(FakeSource.opened.length, 1);
});

test('an abort closes the connection and nothing comes back', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const teardown = new AbortController();
  followRuns(['a'], handlers, teardown.signal);
  teardown.abort();
  const [source] = FakeSource.opened;
  assert.equal(source.readyState, FakeSource.CLOSED);
  source.listeners.error();
  context.mock.timers.tick(5000);
  assert.equal(FakeSource.opened.length, 1);
});

test('a page that wakes after a silence takes the runs up anew, and one that has just heard something does not', (context) => {
  context.mock.timers.enable({ apis: ['Date'] });
  const gone = new AbortController();
  followRuns(['a'], handlers, gone.signal);
  const [source] = FakeSource.opened;
  source.frame('a', 0);
  page.dispatchEvent(new Event('online'));
  assert.equal(FakeSource.opened.length, 1);
  context.mock.timers.tick(5000);
  page.visibilityState = 'hidden';
  page.dispatchEvent(new Event('visibilitychange'));
  assert.equal(FakeSource.opened.length, 1);
  page.visibilityState = 'visible';
  page.dispatchEvent(new Event('visibilitychange'));
  assert.equal(source.readyState, FakeSource.CLOSED);
  assert.equal(query(FakeSource.opened[1]).get('after'), '0');
  gone.abort();
  context.mock.timers.tick(5000);
  page.dispatchEvent(new Event('resume'));
  assert.equal(FakeSource.opened.length, 2);
});

test('a connection that does not come up is given up for another', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  const gone = new AbortController();
  followRuns(['a'], handlers, gone.signal);
  FakeSource.opened[0].readyState = 0;
  context.mock.timers.tick(4000);
  assert.equal(FakeSource.opened[0].readyState, FakeSource.CLOSED);
  context.mock.timers.tick(4000);
  assert.equal(FakeSource.opened.length, 2, 'one that is up stays');
  gone.abort();
});
