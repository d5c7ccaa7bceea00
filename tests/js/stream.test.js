import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { followRuns } from '../../static/js/stream.js';

/** The browser's EventSource, as far as the page uses it, driven by hand. */
class FakeSource {
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

const seen = [];
const connections = [];
const handlers = {
  onFrame: ({ run, index }) => seen.push(`${run}${index}`),
  onStatus: () => {},
  onConnection: (isUp) => connections.push(isUp),
};
beforeEach(() => {
  for (const list of [seen, connections, FakeSource.opened]) list.length = 0;
});
const query = (source) => new URL(source.url, 'http://host').searchParams;

test('all runs come on one connection, which is closed when the last has ended', () => {
  followRuns(['a', 'b'], handlers, new AbortController().signal);
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
  followRuns(['a', 'b'], handlers, new AbortController().signal);
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
  followRuns(['a'], handlers, new AbortController().signal);
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
