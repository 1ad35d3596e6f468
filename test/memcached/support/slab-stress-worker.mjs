/**
 * A worker thread of the page mover's stress test: a core of its own over the shared arena, on a transport that gives it commands and checks
 * what it answers. Each value repeats a head that names key, writer and number, so that a torn or foreign value is seen.
 */
import { parentPort, workerData } from 'node:worker_threads';

const compiled = (path) => import(new URL(`../../../dist/engines/${path}`, import.meta.url).href);
const { createArena } = await compiled('memory/arena.js');
const { openArenaBuffer } = await compiled('memory/arena-buffer.js');
const { Unconnected } = await compiled('base/unconnected.js');
const { Core } = await compiled('memcached/core.js');
const { createRandom } = await compiled('base/random.js');

const { handle, settings, placement, seed, milliseconds, leastCommands, keys, sizes } = workerData;
const INPUT_BYTES = 512 * 1024;
const OUTPUT_BYTES = 512 * 1024;
const LEASES_MAX = 6;

const memory = createArena({ bytes: openArenaBuffer(handle), shared: true });
const inputAt = memory.takePages(INPUT_BYTES / 4096);
const outputAt = memory.takePages(OUTPUT_BYTES / 4096);
const random = createRandom(`${seed} ${placement.thread}`);
const clock = { wallMs: () => Date.now(), monoUs: () => performance.now() * 1000 };
const stop = new Int32Array(workerData.stop);

let out = [];
/** Values lent to the output: they must stay as they are until they are released. */
const leases = [];
let direct = null;
let closed = false;
const transport = Object.assign(new Unconnected(), {
  reserve: () => outputAt,
  commit: (_conn, end) => out.push(Buffer.from(memory.u8.slice(outputAt, end))),
  lend: (_conn, offset, length, lease) => {
    const bytes = Buffer.from(memory.u8.slice(offset, offset + length));
    out.push(bytes);
    leases.push({ offset, length, lease, bytes });
  },
  readInto: (_conn, offset, length) => {
    direct = { offset, length };
  },
  close: () => {
    closed = true;
  },
  descriptor: (conn) => conn,
});
const hooks = { log: () => {}, onShutdown: () => {}, usage: () => ({ pid: 1, userSeconds: 0, systemSeconds: 0 }) };
const core = new Core(memory, clock, settings, hooks, placement);
core.setTransport(transport);
const CONN = 0;
core.onOpen(CONN, 0);

function fail(what) {
  throw new Error(`worker ${placement.thread}: ${what}`);
}

function release(one) {
  if (Buffer.compare(Buffer.from(memory.u8.slice(one.offset, one.offset + one.length)), one.bytes) !== 0) {
    fail('a value changed while it was lent');
  }
  core.onReleased(one.lease);
}

/** Sends bytes in pieces. @returns the reply as text */
function send(bytes, pieceBytes = INPUT_BYTES) {
  let rest = bytes;
  while (rest.length > 0) {
    if (closed) fail('the connection was closed');
    if (direct !== null) {
      const { offset, length } = direct;
      const take = Math.min(length, rest.length);
      memory.u8.set(rest.subarray(0, take), offset);
      rest = rest.subarray(take);
      if (take < length) {
        direct = { offset: offset + take, length: length - take };
        continue;
      }
      direct = null;
      core.onDirect(CONN);
      continue;
    }
    const piece = rest.subarray(0, pieceBytes);
    memory.u8.set(piece, inputAt);
    const consumed = core.onInput(CONN, inputAt, inputAt + piece.length) - inputAt;
    if (consumed === 0) {
      if (pieceBytes >= rest.length) fail('input is not taken');
      pieceBytes *= 2;
    }
    rest = rest.subarray(consumed);
    core.onTurn();
  }
  const text = Buffer.concat(out).toString('latin1');
  out = [];
  return text;
}

function makeValue(key, number, bytes) {
  const head = `${key}/${placement.thread}/${number}/`;
  return head.repeat(Math.ceil(bytes / head.length)).slice(0, bytes);
}

function checkValue(key, value) {
  const match = /^(\d+)\/\d+\/\d+\//.exec(value);
  if (match === null || Number(match[1]) !== key) fail(`key ${key} has the value ${value.slice(0, 60)}`);
  const head = match[0];
  if (value !== head.repeat(Math.ceil(value.length / head.length)).slice(0, value.length)) {
    fail(`key ${key} has a torn value of ${value.length} bytes that begins with ${head}`);
  }
}

let commands = 0;
let hits = 0;
const answers = {};
const deadline = Date.now() + milliseconds;
// The main thread says when it has seen enough; until then, and until this one has done its share, it goes on, but not for ever.
while (Date.now() < deadline && (Atomics.load(stop, 0) === 0 || commands < leastCommands)) {
  commands++;
  const key = random.nextBelow(keys);
  const dice = random.nextBelow(100);
  if (dice < 45) {
    const reply = send(Buffer.from(`get k${key}\r\n`));
    if (reply !== 'END\r\n') {
      const match = /^VALUE k(\d+) 0 (\d+)\r\n/.exec(reply);
      if (match === null || Number(match[1]) !== key) fail(`strange reply ${reply.slice(0, 80)}`);
      const value = reply.slice(match[0].length, match[0].length + Number(match[2]));
      if (reply.length !== match[0].length + value.length + 7) fail('a reply of the wrong length');
      checkValue(key, value);
      hits++;
    }
  } else if (dice < 90) {
    const bytes = sizes[random.nextBelow(sizes.length)] + random.nextBelow(40);
    const how = dice < 80 ? 'set' : dice < 85 ? 'add' : 'replace';
    const pieceBytes = dice % 2 === 0 ? INPUT_BYTES : 3_000;
    const command = `${how} k${key} 0 ${dice === 50 ? 1 : 0} ${bytes}\r\n${makeValue(key, commands, bytes)}\r\n`;
    const reply = send(Buffer.from(command, 'latin1'), pieceBytes);
    answers[reply] = (answers[reply] ?? 0) + 1;
    if (!/^(STORED|NOT_STORED|SERVER_ERROR [Oo]ut of memory[^\r]*)\r\n$/.test(reply)) fail(`${how} answered ${reply}`);
  } else if (dice < 96) {
    send(Buffer.from(`delete k${key}\r\n`));
  } else {
    send(Buffer.from(`touch k${key} 0\r\n`));
  }
  while (leases.length > LEASES_MAX || (leases.length > 0 && random.nextBelow(20) === 0)) {
    release(leases.splice(random.nextBelow(leases.length), 1)[0]);
  }
}
while (leases.length > 0) release(leases.pop());
core.onClose(CONN, 0);
parentPort.postMessage({ commands, hits, answers });
