/** A worker of the test of CAS ids: a core over the shared arena that stores keys of its own as fast as it can, and notes each store's CAS id. */
import { parentPort, workerData } from 'node:worker_threads';

const compiled = (path) => import(new URL(`../../../dist/engines/${path}`, import.meta.url).href);
const { createArena } = await compiled('memory/arena.js');
const { openArenaBuffer } = await compiled('memory/arena-buffer.js');
const { Unconnected } = await compiled('base/unconnected.js');
const { Core } = await compiled('memcached/core.js');

const { handle, block, thread, threads, settings, stores, counts, keys, gate } = workerData;
const SCRATCH_BYTES = 256 * 1024;
const arena = createArena({ bytes: openArenaBuffer(handle), shared: true });
const clock = { wallMs: () => Date.now(), monoUs: () => performance.now() * 1_000 };
const hooks = { log() {}, onShutdown() {}, usage: () => ({ pid: 1, userSeconds: 0, systemSeconds: 0 }) };
const core = new Core(arena, clock, settings, hooks, { role: 'worker', threads, thread, block });
const inputAt = arena.takePages(SCRATCH_BYTES / 4_096);
const outputAt = arena.takePages(SCRATCH_BYTES / 4_096);
const bytes = new Uint8Array(arena.buffer);

let out = '';
const transport = Object.assign(new Unconnected(), {
  memory: arena,
  reserve: () => outputAt,
  commit: (_conn, end) => {
    out += Buffer.from(bytes.slice(outputAt, end)).toString('latin1');
  },
  close() {
    throw new Error('the connection was closed');
  },
  descriptor: () => 30 + thread,
});
core.setTransport(transport);
core.onOpen(0, 0);

/** Sends commands in one piece. @returns their replies */
function ask(text) {
  const sent = Buffer.from(text, 'latin1');
  bytes.set(sent, inputAt);
  const end = inputAt + sent.length;
  out = '';
  for (let at = inputAt; at < end; ) {
    at = core.onInput(0, at, end);
    core.onTurn();
  }
  return out;
}

const names = Array.from({ length: keys }, (_, i) => `thread:${thread}:${i}`);
const batch = names.map((name) => `ms ${name} 1 c\r\nx\r\n`).join('');
const ids = new Float64Array(stores);
const there = new Int32Array(gate);

/** Waits until all threads are there, for the so many-th time. */
function meet(time) {
  if (Atomics.add(there, 0, 1) + 1 === time * threads) Atomics.notify(there, 0);
  for (let now = Atomics.load(there, 0); now < time * threads; now = Atomics.load(there, 0))
    Atomics.wait(there, 0, now);
}

meet(1);
for (let done = 0; done < stores; done += keys) {
  const replies = ask(batch).match(/(?<=^HD c)\d+/gm);
  if (replies?.length !== keys) throw new Error(`stores were answered ${out.slice(0, 200)}`);
  for (let i = 0; i < keys; i++) ids[done + i] = Number(replies[i]);
}
// What lies there now is what was told last.
const read = ask(names.map((name) => `gets ${name}\r\n`).join('')).match(/(?<=^VALUE \S+ \d+ \d+ )\d+/gm);
const last = Array.from(ids.subarray(stores - keys), String);
if (String(read) !== String(last)) throw new Error('gets tells other CAS ids than the stores');
// Between two stores there is much else to do: without it a count that gets lost shows sooner.
meet(2);
for (let i = 0; i < counts; i++) core.items.casIds.next();
parentPort.postMessage(ids, [ids.buffer]);
