/**
 * LRUs, crawler, maintainer and hash table under several threads: workers with few keys and little memory, the background jobs in this
 * thread. No value is torn, every dump ends, and when all is over each structure agrees with the others.
 */
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { Core } from '../../engines/memcached/core.ts';
import { CRAWL_EXPIRED } from '../../engines/memcached/crawler.ts';
import { LRU_COUNT } from '../../engines/memcached/layout.ts';
import { defaultSettings, type Settings } from '../../engines/memcached/settings.ts';
import { createArena } from '../../engines/memory/arena.ts';
import { addressOf, canPurge, purge } from '../support/native-memory.ts';
import { seededRandom } from '../support/seed.ts';

const THREADS = 3;
const ARENA_BYTES = 256 * 1024 * 1024;
const DURATION_MS = 3_000 * Number(process.env['CACHELAB_TEST_SCALE'] ?? 1);
const WORKER = new URL('./support/lru-thread.mjs', import.meta.url);

const cases: readonly (readonly [name: string, settings: Partial<Settings>, keys: number])[] = [
  ['few hot keys and evictions', { maxBytes: 6 * 1024 * 1024 }, 3_000],
  ['a table that grows', { maxBytes: 128 * 1024 * 1024, hashPowerInit: 12 }, 12_000],
  [
    'xxh3 and no maintainer',
    { maxBytes: 6 * 1024 * 1024, hashAlgorithm: 'xxh3', lruMaintainer: false, lruSegmented: false },
    200,
  ],
];

for (const [name, changes, keys] of cases) {
  it.skipIf(!canPurge)(`holds with ${name}`, { timeout: DURATION_MS + 120_000 }, async () => {
    const arena = createArena({ byteLength: ARENA_BYTES, shared: true, addressOf, purge });
    const settings: Settings = { ...defaultSettings(), threads: THREADS, lruCrawlerSleep: 0, ...changes };
    const clock = { wallMs: () => Date.now(), monoUs: () => performance.now() * 1_000 };
    const hooks = {
      log: () => {},
      onShutdown: () => {},
      usage: () => ({ pid: 1, userSeconds: 0, systemSeconds: 0 }),
    };
    const core = new Core(arena, clock, { ...settings }, hooks, { role: 'dispatcher', threads: THREADS });
    const seed = String(seededRandom('threads and LRUs').nextU32());
    let running = THREADS;
    const ends = Array.from({ length: THREADS }, (_, thread) => {
      const { handle } = arena;
      const block = core.shared.offset;
      const workerData = { handle, block, thread, threads: THREADS, settings, seed, durationMs: DURATION_MS, keys };
      const worker = new Worker(WORKER, { workerData });
      return new Promise<Record<string, number>>((resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', reject);
        worker.once('exit', () => running--);
      });
    });
    const all = Promise.all(ends);
    all.catch(() => {});
    const settle = async (until: () => boolean): Promise<void> => {
      while (!until()) {
        core.tick();
        core.maintain();
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await settle(() => running === 0);
    const counts = await all;
    // What nobody asks for any more has expired by then.
    const deadline = performance.now() + 3_500;
    await settle(() => performance.now() > deadline && !core.crawler.isRunning);
    expect(core.crawler.start(CRAWL_EXPIRED, new Uint8Array(LRU_COUNT).fill(1), 0, -1)).toBeGreaterThan(0);
    await settle(() => !core.crawler.isRunning);
    core.verify();
    // Nobody holds anything any more.
    const { items } = core;
    for (let id = 0; id < LRU_COUNT; id++) {
      for (let item = items.head(id); item !== 0; item = items.u32[item >>> 2]!) expect(items.refcount(item)).toBe(1);
    }
    const sum = (what: string): number => counts.reduce((all, one) => all + one[what]!, 0);
    expect(sum('commands')).toBeGreaterThan(1_000);
    expect(sum('hits')).toBeGreaterThan(100);
    expect(sum('dumps') + sum('busy')).toBeGreaterThan(0);
    const total = (values: Float64Array): number => values.reduce((all, one) => all + one, 0);
    expect(total(items.lru.crawlerReclaimed) + total(items.lru.reclaimed)).toBeGreaterThan(0);
    if (changes.hashPowerInit === 12) expect(items.table.power).toBeGreaterThan(12);
  });
}
