/** CAS ids under several threads, which count them without a lock in common: stores of different keys, as fast as can be. */
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { Core } from '../../engines/memcached/core.ts';
import { defaultSettings, type Settings } from '../../engines/memcached/settings.ts';
import { createArena } from '../../engines/memory/arena.ts';
import { addressOf, canPurge, purge } from '../support/native-memory.ts';
import { testScale } from '../support/seed.ts';

const THREADS = 3;
const KEYS = 250;
const STORES = 400 * KEYS * testScale;
/** Ids that each thread takes afterwards without storing anything: enough to last while the other threads get their turns. */
const COUNTS = 3_000_000;
const IDS = THREADS * STORES;
const ARENA_BYTES = 128 * 1024 * 1024;
const WORKER = new URL('./support/cas-thread.mjs', import.meta.url);

it.skipIf(!canPurge)(
  `${THREADS} threads give each of ${IDS} stores a CAS id of its own, and none is left out`,
  {
    timeout: 60_000 * testScale,
  },
  async () => {
    const arena = createArena({ byteLength: ARENA_BYTES, shared: true, addressOf, purge });
    const settings: Settings = { ...defaultSettings(), threads: THREADS, reqsPerEvent: KEYS };
    const clock = { wallMs: () => Date.now(), monoUs: () => performance.now() * 1_000 };
    const hooks = { log: () => {}, onShutdown: () => {}, usage: () => ({ pid: 1, userSeconds: 0, systemSeconds: 0 }) };
    const core = new Core(arena, clock, { ...settings }, hooks, { role: 'dispatcher', threads: THREADS });
    const gate = new SharedArrayBuffer(4);
    // On their way the low half of the ids begins again.
    const before = 2 ** 33 - IDS / 2;
    core.items.casIds.last = before;
    const all = await Promise.all(
      Array.from({ length: THREADS }, (_, thread) => {
        const { handle } = arena;
        const block = core.shared.offset;
        const workerData = {
          handle,
          block,
          thread,
          threads: THREADS,
          settings,
          stores: STORES,
          keys: KEYS,
          counts: COUNTS,
          gate,
        };
        const worker = new Worker(WORKER, { workerData });
        return new Promise<Float64Array>((resolve, reject) => {
          worker.once('message', resolve);
          worker.once('error', reject);
        });
      }),
    );
    const ids = Float64Array.from(all.flatMap((one) => [...one])).sort();
    const repeated = ids.filter((id, i) => id === ids[i - 1]);
    expect(repeated.length, `CAS ids given twice: ${repeated.subarray(0, 5)}`).toBe(0);
    expect([ids.length, ids[0], ids.at(-1)]).toEqual([IDS, before + 1, before + IDS]);
    expect(core.items.casIds.last).toBe(before + IDS + THREADS * COUNTS);
    core.verify();
  },
);
