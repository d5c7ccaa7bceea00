import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { compareRuns, readBatches } from '../../../static/js/net/api.js';
import { followRuns } from '../../../static/js/net/stream.js';

const turn = () => new Promise((resolve) => setImmediate(resolve));
/** Wait until streams have delivered their buffered data. */
async function settle() {
  for (let turns = 0; turns < 10; turns++) await turn();
}

/** A request to the server whose response the test controls. */
class Request {
  static made = [];
  constructor(url, init) {
    Object.assign(this, { url, init });
    this.answered = new Promise((resolve, reject) => {
      Object.assign(this, { resolve, reject });
      init.signal.addEventListener('abort', () => reject(init.signal.reason));
    });
    Request.made.push(this);
  }
  get query() {
    return new URL(this.url, 'http://host').searchParams;
  }
  get isClosed() {
    return this.init.signal.aborted;
  }
  async accept() {
    const start = (controller) => {
      this.controller = controller;
    };
    const body = new ReadableStream({ start });
    this.init.signal.addEventListener('abort', () => this.controller.error(this.init.signal.reason));
    this.resolve(new Response(body, { headers: { 'content-type': 'text/event-stream' } }));
    await settle();
  }
  async send(type, data) {
    this.controller.enqueue(new TextEncoder().encode(`event: ${type}\ndata: ${JSON.stringify(data)}\n\n`));
    await settle();
  }
  frame(run, index, type = 'forward') {
    return this.send(type, { run, index, type });
  }
  async end() {
    this.controller.close();
    await settle();
  }
  async break() {
    this.controller.error(new TypeError('network error'));
    await settle();
  }
}
globalThis.fetch = (url, init) => new Request(url, init).answered;

const page = new EventTarget();
page.visibilityState = 'visible';
globalThis.document = page;
globalThis.addEventListener = page.addEventListener.bind(page);

const seen = [];
const connections = [];
let refusals = 0;
const handlers = {
  onFrame: ({ run, index }) => seen.push(`${run}${index}`),
  onStatus: ({ run, position }) => seen.push(`${run} waits ${position}`),
  onConnection: (isUp) => connections.push(isUp),
  onRefused: () => refusals++,
};
let left = new AbortController();
afterEach(() => left.abort());
beforeEach(() => {
  left = new AbortController();
  refusals = 0;
  for (const list of [seen, connections, Request.made]) list.length = 0;
});

test('events are read when chunks complete them, wherever the chunks are split', async () => {
  const text = ': heartbeat\n\nid: 0\nevent: start\ndata: {"name":"“µ”"}\n\nevent: end\ndata: {}\n\n';
  const bytes = new TextEncoder().encode(text);
  for (const size of [1, 2, 7, bytes.length]) {
    const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
      bytes.slice(at * size, (at + 1) * size),
    );
    const batches = [];
    for await (const batch of readBatches(ReadableStream.from(pieces))) batches.push(batch);
    assert.deepEqual(batches.flat(), [
      { type: 'start', data: { name: '“µ”' } },
      { type: 'end', data: {} },
    ]);
  }
});

test('a heartbeat is a batch without events', async () => {
  const batches = [];
  for await (const batch of readBatches(ReadableStream.from([new TextEncoder().encode(': heartbeat\n\n')])))
    batches.push(batch);
  assert.deepEqual(batches, [[]]);
});

test('all runs arrive on one connection, which closes after the last end', async () => {
  followRuns(['a', 'b'], handlers, left.signal);
  const [request] = Request.made;
  assert.equal(request.query.get('ids'), 'a,b');
  assert.equal(request.query.get('after'), null);
  assert.equal(request.init.headers.Accept, 'text/event-stream');
  await request.accept();
  await request.send('status', { run: 'b', position: 2 });
  await request.frame('a', 0, 'start');
  await request.frame('a', 1, 'end');
  await request.frame('b', 0, 'end');
  await request.end();
  assert.deepEqual(seen, ['b waits 2', 'a0', 'a1', 'b0']);
  assert.ok(!connections.includes(false));
  assert.equal(Request.made.length, 1);
});

test('the response that started the runs is their stream; when it breaks, another one resumes after it', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const request = compareRuns([{ seed: 1 }], 6, ['old']);
  const [post] = Request.made;
  assert.equal(post.init.method, 'POST');
  assert.deepEqual(JSON.parse(post.init.body), [{ seed: 1 }]);
  assert.deepEqual([post.query.get('limit_s'), post.query.get('have')], ['6', 'old']);
  await post.accept();
  await post.send('submitted', [{ id: 'a', status: 'running', position: null }]);
  const { submitted, stream } = await request;
  assert.equal(submitted[0].id, 'a');
  followRuns(['a'], handlers, left.signal, stream);
  await post.frame('a', 0, 'start');
  await post.frame('other', 0, 'start');
  assert.deepEqual(seen, ['a0'], 'a run without a follower is dropped');
  await post.break();
  assert.deepEqual(connections.at(-1), false);
  context.mock.timers.tick(1000);
  assert.equal(Request.made[1].query.get('after'), '0');
});

test('a refusal of runs is an error with its text, and so is a response that ends early', async () => {
  const refused = compareRuns([{}], null, []);
  Request.made[0].resolve(Response.json({ title: 'Too much', detail: 'depth' }, { status: 422 }));
  await assert.rejects(refused, { status: 422, title: 'Too much' });
  const cut = compareRuns([{}], null, []);
  await Request.made[1].accept();
  await Promise.all([assert.rejects(cut, { status: 0 }), Request.made[1].end()]);
});

test('a request without a response times out with an error that can be retried', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const request = compareRuns([{}], null, []);
  context.mock.timers.tick(30_000);
  await assert.rejects(request, { status: 0, retryAfter_s: 2 });
});

test('a lost connection is reported, and resumes after the last frames; repeated frames count once', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  followRuns(['a', 'b'], handlers, left.signal);
  const [request] = Request.made;
  await request.accept();
  await request.frame('a', 0);
  await request.frame('a', 1);
  await request.end();
  assert.equal(connections.at(-1), false);
  assert.equal(refusals, 0);
  context.mock.timers.tick(1000);
  const [, second] = Request.made;
  assert.equal(second.query.get('after'), '1,-1');
  await second.accept();
  assert.equal(connections.at(-1), true);
  await second.frame('a', 1);
  await second.frame('b', 0);
  assert.deepEqual(seen, ['a0', 'a1', 'b0']);
});

test('a refusal is reported, and the request is repeated', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  followRuns(['a'], handlers, left.signal);
  Request.made[0].resolve(Response.json({ title: 'not found' }, { status: 404 }));
  await settle();
  assert.equal(refusals, 1);
  context.mock.timers.tick(1000);
  Request.made[1].resolve(new Response(null, { status: 204 }));
  await settle();
  assert.equal(refusals, 2, 'nothing is left to send, though something is missing');
});

test('an abort closes the connection without further callbacks', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const gone = new AbortController();
  followRuns(['a'], handlers, gone.signal);
  const [request] = Request.made;
  await request.accept();
  gone.abort();
  await settle();
  assert.ok(request.isClosed);
  context.mock.timers.tick(5000);
  assert.equal(Request.made.length, 1);
  assert.ok(!connections.includes(false));
});

test('a page that wakes after silence reconnects, and one that has just received data does not', async (context) => {
  context.mock.timers.enable({ apis: ['Date'] });
  const gone = new AbortController();
  followRuns(['a'], handlers, gone.signal);
  const [request] = Request.made;
  await request.accept();
  await request.frame('a', 0);
  page.dispatchEvent(new Event('online'));
  assert.equal(Request.made.length, 1);
  context.mock.timers.tick(5000);
  page.visibilityState = 'hidden';
  page.dispatchEvent(new Event('visibilitychange'));
  assert.equal(Request.made.length, 1);
  page.visibilityState = 'visible';
  page.dispatchEvent(new Event('visibilitychange'));
  assert.ok(request.isClosed);
  assert.equal(Request.made[1].query.get('after'), '0');
  gone.abort();
  context.mock.timers.tick(5000);
  page.dispatchEvent(new Event('resume'));
  assert.equal(Request.made.length, 2);
});

test('a connection that does not open is replaced by another', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  const gone = new AbortController();
  followRuns(['a'], handlers, gone.signal);
  context.mock.timers.tick(4000);
  assert.ok(Request.made[0].isClosed);
  await Request.made[1].accept();
  context.mock.timers.tick(4000);
  assert.equal(Request.made.length, 2, 'one that is up stays');
  gone.abort();
});
