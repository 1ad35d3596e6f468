/** The page mover under load: worker threads store, fetch, hold and delete items of many sizes while pages are moved under them. */
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { Core } from '../../engines/memcached/core.ts';
import { defaultSettings } from '../../engines/memcached/settings.ts';
import { ANY_CLASS, REASSIGN_OK } from '../../engines/memcached/slab-mover.ts';
import { PAGE_POOL } from '../../engines/memcached/slabs.ts';
import { createArena, makeBuffer } from '../../engines/memory/arena.ts';
import { seededRandom } from '../support/seed.ts';

const MEBIBYTE = 1024 * 1024;
const WORKERS = 3;
const SECONDS = 4 * Number(process.env['CACHELAB_TEST_SCALE'] ?? 1);
/** On a busy machine it goes on until enough has happened. */
const MORE_SECONDS = 60;
const LEAST_COMMANDS = 2_000;
const KEYS = 500;
/** Small ones, some that are lent to the output, and some of several chunks. */
const SIZES = [20, 150, 900, 4_000, 15_000, 17_000, 30_000, 60_000];

it('pages move under the items of working threads without a torn value or a lost chunk', {
  timeout: (SECONDS + MORE_SECONDS) * 1_000 + 60_000,
}, async () => {
  const random = seededRandom('slab stress');
  const seed = random.nextU32();
  const bytes = makeBuffer(256 * MEBIBYTE);
  const memory = createArena({ bytes, shared: true });
  const settings = {
    ...defaultSettings(),
    maxBytes: 24 * MEBIBYTE,
    slabChunkSizeMax: 16_384,
    threads: WORKERS,
    slabAutomove: 2,
    hashPowerInit: 12,
  };
  const clock = { wallMs: () => Date.now(), monoUs: () => performance.now() * 1000 };
  const hooks = { log: () => {}, onShutdown: () => {}, usage: () => ({ pid: 1, userSeconds: 0, systemSeconds: 0 }) };
  const core = new Core(memory, clock, settings, hooks, { role: 'dispatcher', threads: WORKERS });
  const stop = new SharedArrayBuffer(4);
  const workers = Array.from({ length: WORKERS }, (_, thread) => {
    const placement = { role: 'worker', threads: WORKERS, thread, block: core.shared.offset };
    return new Worker(new URL('./support/slab-stress-worker.mjs', import.meta.url), {
      workerData: {
        handle: memory.handle,
        settings,
        placement,
        seed,
        milliseconds: (SECONDS + MORE_SECONDS) * 1_000,
        leastCommands: LEAST_COMMANDS,
        keys: KEYS,
        sizes: SIZES,
        stop,
      },
    });
  });
  let left = WORKERS;
  const ends = workers.map(
    (worker) =>
      new Promise<{ commands: number; hits: number }>((resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', (error) => {
          Atomics.store(new Int32Array(stop), 0, 1);
          reject(error);
        });
      }),
  );
  for (const end of ends) {
    const count = (): void => {
      left--;
    };
    end.then(count, count);
  }
  const { items } = core;
  const { mover, slabs } = items;
  let lastTick = 0;
  let asked = 0;
  const end = performance.now() + SECONDS * 1_000;
  const hasSeenEnough = (): boolean =>
    asked > 10 && mover.count('moved') > 20 && mover.count('rescues') > 100 && mover.count('chunkRescues') > 0;
  while (left > 0) {
    if (performance.now() > end && hasSeenEnough()) Atomics.store(new Int32Array(stop), 0, 1);
    for (let i = 0; i < 50; i++) core.maintain();
    if (performance.now() - lastTick > 1_000) {
      core.tick();
      lastTick = performance.now();
      slabs.setLimit((16 + random.nextBelow(16)) * MEBIBYTE);
    }
    // Not only what evictions ask for: also to the pool and back.
    const to = random.nextBelow(3) === 0 ? PAGE_POOL : 1 + random.nextBelow(slabs.largestClass);
    const from = random.nextBelow(4) === 0 ? PAGE_POOL : ANY_CLASS;
    if (mover.request(from, to) === REASSIGN_OK) asked++;
    await new Promise((resolve) => setImmediate(resolve));
  }
  const results = await Promise.all(ends);
  const deadline = performance.now() + 10_000;
  do {
    core.background.runAll();
  } while (mover.page !== 0 && performance.now() < deadline);
  for (let i = 0; i < 200; i++) core.background.runAll();
  const report = core.verify();
  expect(mover.page).toBe(0);
  expect(report.floatingChunks).toBe(0);
  expect(asked).toBeGreaterThan(10);
  expect(mover.count('moved')).toBeGreaterThan(20);
  expect(mover.count('rescues')).toBeGreaterThan(100);
  expect(mover.count('chunkRescues')).toBeGreaterThan(0);
  for (const { commands, hits } of results) {
    expect(commands).toBeGreaterThan(1_000);
    expect(hits).toBeGreaterThan(100);
  }
  if (process.env['CACHELAB_SHOW'] === '1') {
    const counts = [
      'rescues',
      'chunkRescues',
      'evictionsNoMem',
      'inlineReclaim',
      'busyItems',
      'busyDeletes',
      'moved',
    ] as const;
    console.log(JSON.stringify(results), Object.fromEntries(counts.map((name) => [name, mover.count(name)])), report);
  }
  await Promise.all(workers.map((worker) => worker.terminate()));
});
