/**
 * A worker of the test of LRUs and hash table under threads: a core over the shared arena, and commands for few keys, one after the other. Values
 * tell their key and end in a sum of themselves, so that a torn one shows.
 */
import { parentPort, workerData } from 'node:worker_threads';

const compiled = (path) => import(new URL(`../../../dist/engines/${path}`, import.meta.url).href);
const { createArena } = await compiled('memory/arena.js');
const { openArenaBuffer } = await compiled('memory/arena-buffer.js');
const { addressOf, purgePages } = await compiled('io/system.js');
const { createRandom } = await compiled('base/random.js');
const { Unconnected } = await compiled('base/unconnected.js');
const { Core } = await compiled('memcached/core.js');

const { handle, block, thread, threads, settings, seed, durationMs, keys } = workerData;
const SCRATCH_BYTES = 8 * 1024 * 1024;
/** However slow the machine is. */
const COMMANDS_MIN = 20_000;
const arena = createArena({ bytes: openArenaBuffer(handle), shared: true, addressOf, purge: purgePages });
const clock = { wallMs: () => Date.now(), monoUs: () => performance.now() * 1_000 };
const hooks = { log() {}, onShutdown() {}, usage: () => ({ pid: 1, userSeconds: 0, systemSeconds: 0 }) };
const core = new Core(arena, clock, settings, hooks, { role: 'worker', threads, thread, block });
const random = createRandom(`${seed} ${thread}`);
const inputAt = arena.takePages(SCRATCH_BYTES / 4_096);
const outputAt = arena.takePages(SCRATCH_BYTES / 4_096);
const bytes = new Uint8Array(arena.buffer);

let out = '';
let leases = [];
let direct = null;
let hasYielded = false;
const transport = Object.assign(new Unconnected(), {
  memory: arena,
  reserve: (_conn, wanted) => (wanted > SCRATCH_BYTES ? 0 : outputAt),
  commit: (_conn, end) => {
    out += Buffer.from(bytes.slice(outputAt, end)).toString('latin1');
  },
  lend: (_conn, offset, length, lease) => {
    out += Buffer.from(bytes.slice(offset, offset + length)).toString('latin1');
    leases.push(lease);
  },
  readInto: (_conn, offset, length) => {
    direct = { offset, length };
  },
  yieldTurn() {
    hasYielded = true;
  },
  close() {
    throw new Error('the connection was closed');
  },
  descriptor: () => 30 + thread,
});
core.setTransport(transport);
core.onOpen(0, 0);

/** Sends one command. @returns its reply */
function ask(text) {
  let rest = Buffer.from(text, 'latin1');
  out = '';
  while (rest.length > 0) {
    if (direct !== null) {
      const length = Math.min(rest.length, direct.length);
      bytes.set(rest.subarray(0, length), direct.offset);
      rest = rest.subarray(length);
      direct = null;
      core.onDirect(0);
      continue;
    }
    bytes.set(rest, inputAt);
    hasYielded = false;
    const consumed = core.onInput(0, inputAt, inputAt + rest.length) - inputAt;
    core.onTurn();
    rest = rest.subarray(consumed);
    if (consumed === 0 && !hasYielded) throw new Error(`nothing was taken of ${rest.toString('latin1', 0, 60)}`);
  }
  // What was lent is given back late, after others have had their turn.
  if (leases.length > 8) {
    for (const lease of leases) core.onReleased(lease);
    leases = [];
  }
  return out;
}

const sumOf = (text) => {
  let sum = 7;
  for (let i = 0; i < text.length; i++) sum = (Math.imul(sum, 31) + text.charCodeAt(i)) >>> 0;
  return sum.toString(16).padStart(8, '0');
};

function makeValue(key) {
  const sizes = [5, 60, 300, 1_500, 9_000, 40_000];
  const body = `${key}|${'abcdefgh'[random.nextBelow(8)].repeat(sizes[random.nextBelow(sizes.length)])}|`;
  return body + sumOf(body);
}

function checkValue(reply, key) {
  if (reply === 'END\r\n') return false;
  const match = /^VALUE (\S+) \d+ (\d+)\r\n/.exec(reply);
  if (match === null || match[1] !== key) throw new Error(`a get of ${key} answered ${reply.slice(0, 80)}`);
  const value = reply.slice(match[0].length, match[0].length + Number(match[2]));
  const body = value.slice(0, -8);
  if (!value.startsWith(`${key}|`) || sumOf(body) !== value.slice(-8)) {
    throw new Error(`a torn value of ${key}: ${value.slice(0, 60)} … ${value.slice(-60)}`);
  }
  return true;
}

const counts = { commands: 0, hits: 0, dumps: 0, busy: 0, crawls: 0 };
const end = performance.now() + durationMs;
while (performance.now() < end || counts.commands < COMMANDS_MIN) {
  for (let i = 0; i < 50; i++) {
    counts.commands++;
    const key = `key:${random.nextBelow(keys)}`;
    const what = random.nextBelow(1_000);
    if (what < 500) {
      if (checkValue(ask(`get ${key}\r\n`), key)) counts.hits++;
    } else if (what < 850) {
      const value = makeValue(key);
      const ttl = random.nextBelow(4) === 0 ? 1 + random.nextBelow(3) : 0;
      const reply = ask(`set ${key} 0 ${ttl} ${value.length}\r\n${value}\r\n`);
      if (reply !== 'STORED\r\n' && !reply.startsWith('SERVER_ERROR')) throw new Error(`a set answered ${reply}`);
    } else if (what < 950) {
      ask(`delete ${key}\r\n`);
    } else if (what < 990) {
      ask(`touch ${key} ${random.nextBelow(3)}\r\n`);
    } else if (what < 992) {
      const reply = ask(`lru_crawler crawl ${['all', '1', '6,9'][random.nextBelow(3)]}\r\n`);
      if (reply === 'OK\r\n') counts.crawls++;
      else counts.busy++;
    } else if (what === 992) {
      const reply = ask(`lru_crawler metadump ${random.nextBelow(2) === 0 ? 'all' : 'hash'}\r\n`);
      if (reply.startsWith('BUSY')) counts.busy++;
      else if (!reply.endsWith('END\r\n')) throw new Error(`a dump ended with ${reply.slice(-80)}`);
      else counts.dumps++;
    } else if (what === 993) {
      ask(`lru mode ${random.nextBelow(4) === 0 ? 'flat' : 'segmented'}\r\n`);
    } else if (what === 994) {
      ask(`lru temp_ttl ${random.nextBelow(2) === 0 ? 2 : -1}\r\n`);
    } else {
      // Never asked for: the crawler's to free.
      ask(`set idle:${random.nextBelow(1_000_000)} 0 1 3\r\nabc\r\n`);
    }
  }
}
for (const lease of leases) core.onReleased(lease);
parentPort.postMessage(counts);
