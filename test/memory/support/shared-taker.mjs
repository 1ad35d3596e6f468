/**
 * A thread of the shared arena test: takes and gives pages of an arena that others share, marks each page it holds with its own number,
 * and checks before it gives one back that nobody else has marked it.
 */
import { parentPort, workerData } from 'node:worker_threads';

const compiled = (path) => import(new URL(`../../../dist/engines/${path}`, import.meta.url).href);
const { createArena } = await compiled('memory/arena.js');
const { openArenaBuffer } = await compiled('memory/arena-buffer.js');
const { createJemalloc } = await compiled('memory/jemalloc.js');
const { addressOf, purgePages } = await compiled('io/system.js');
const { createRandom } = await compiled('base/random.js');

const { handle, me, seed, rounds } = workerData;
const bytes = openArenaBuffer(handle);
const arena = createArena({ bytes, shared: true, addressOf, purge: purgePages });
const heap = createJemalloc(arena, { classes: 'debian' });
const random = createRandom(`${seed} ${me}`);
const held = [];

function check(condition, what) {
  if (!condition) throw new Error(`thread ${me}: ${what}`);
}

/** A run of pages, or an allocation (pages 0): marked at each end and moved within itself by the memory's own instruction. */
function take() {
  const kind = random.nextBelow(3);
  const pages = kind === 0 ? 0 : 1 + random.nextBelow(kind === 1 ? 16 : 300);
  const length = pages > 0 ? pages * 4096 : 8 + random.nextBelow(40_000);
  const align = pages > 0 ? 1 << random.nextBelow(9) : 1;
  const offset = pages > 0 ? arena.takePages(pages, align) : heap.alloc(length);
  if (offset === 0) return;
  check(pages === 0 || arena.address === 0 || (arena.address + offset) % (align * 4096) === 0, 'not aligned');
  arena.u8.fill(me, offset, offset + length);
  held.push({ offset, length, pages });
}

function give() {
  const index = random.nextBelow(held.length);
  const { offset, length, pages } = held[index];
  held[index] = held.at(-1);
  held.pop();
  arena.moveBytes(offset, offset + (length >>> 1), length >>> 1);
  for (let at = offset; at < offset + length; at += 61) check(arena.u8[at] === me, `byte ${at} is ${arena.u8[at]}`);
  if (pages > 0) arena.givePages(offset, pages);
  else heap.free(offset);
}

for (let i = 0; i < rounds; i++) {
  if (held.length === 0 || (held.length < 60 && random.nextBelow(2) === 0)) take();
  else give();
}
while (held.length > 0) give();
arena.verify();
heap.verify();
parentPort.postMessage({ address: arena.address, byteLength: arena.byteLength, left: arena.freePages });
