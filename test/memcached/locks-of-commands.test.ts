/**
 * Locks around commands: two workers and a dispatcher take turns in one thread, where a lock that is taken twice would never be given, and one
 * that is not given back stays behind. Threads that really run at the same time are others' tests.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LOCK_COUNT, LOCK_SHIFT } from '../../engines/memcached/lock-cells.ts';
import { itemLockPower } from '../../engines/memcached/locks.ts';
import { createArena } from '../../engines/memory/arena.ts';
import { CommandMaker } from '../conformance/memcached-commands.ts';
import { MetaMaker } from '../conformance/memcached-meta-commands.ts';
import { seededRandom, testScale } from '../support/seed.ts';
import { InProcess } from './in-process.ts';

const THREADS = 2;
const BATCHES = 250 * testScale;
const BATCH = 30;
const ARENA_BYTES = 512 * 1024 * 1024;

function takenLocks(server: InProcess): number[] {
  const { shared, memory } = server.core;
  const taken: number[] = [];
  for (let i = 0; i < 2 ** itemLockPower(THREADS); i++) if (memory.i32[shared.itemLocks + i] !== 0) taken.push(i);
  for (let i = 0; i < LOCK_COUNT; i++) if (memory.i32[shared.locks + (i << LOCK_SHIFT)] !== 0) taken.push(-1 - i);
  return taken;
}

describe('locks', () => {
  beforeEach(() => {
    vi.spyOn(Atomics, 'wait').mockImplementation(() => {
      throw new Error('a lock is taken twice');
    });
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });

  for (const kind of ['ascii', 'meta', 'binary'] as const) {
    for (const [name, settings] of [
      ['flat LRU', { lruMaintainer: false, lruSegmented: false }],
      ['segmented LRU with little memory', { maxBytes: 4 * 1024 * 1024 }],
    ] as const) {
      it(`are taken once and all given back by ${kind} commands (${name})`, { timeout: 60_000 * testScale }, () => {
        const random = seededRandom(`locks of ${kind} commands, ${name}`);
        const memory = createArena({ byteLength: ARENA_BYTES, shared: true });
        const all = { ...settings, threads: THREADS, reqsPerEvent: 1_000 };
        const dispatcher = new InProcess(all, 0, undefined, {
          memory,
          placement: { role: 'dispatcher', threads: THREADS },
        });
        const block = dispatcher.core.shared.offset;
        const workers = [0, 1].map(
          (thread) =>
            new InProcess(all, 0, undefined, {
              memory,
              placement: { role: 'worker', threads: THREADS, thread, block },
            }),
        );
        const alone = new InProcess(all, ARENA_BYTES);
        const maker = new CommandMaker(random, 60);
        const meta = new MetaMaker(random, maker);
        const out = new Uint8Array(1_000);
        const next = (): Buffer => {
          if (kind === 'binary') return Buffer.from(maker.binary(out));
          return Buffer.from(kind === 'meta' ? meta.next() : maker.ascii(), 'latin1');
        };
        for (let batch = 0; batch < BATCHES; batch++) {
          const bytes = Buffer.concat(Array.from({ length: BATCH }, next));
          const worker = workers[random.nextBelow(THREADS)]!;
          const conn = worker.open();
          const other = alone.open();
          worker.feed(conn, bytes);
          alone.feed(other, bytes);
          const mine = worker.take(conn).toString('latin1');
          // What is evicted depends on which moves of the LRU come when, which is not the same with threads.
          if (name === 'flat LRU') expect(mine, `batch ${batch}`).toBe(alone.take(other).toString('latin1'));
          worker.hangUp(conn);
          alone.hangUp(other);
          expect(worker.released).toBe(worker.lent);
          dispatcher.core.background.runAll();
          expect(takenLocks(dispatcher)).toEqual([]);
        }
        dispatcher.core.verify();
      });
    }
  }
});
