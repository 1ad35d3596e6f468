/**
 * How much a second worker thread brings, without sockets and clients in the way (which need the cores themselves): threads execute prepared
 * commands on one arena, under the locks that a server with several threads takes.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { entryUrl } from '../../engines/base/entry.ts';
import { Core } from '../../engines/memcached/core.ts';
import { defaultSettings } from '../../engines/memcached/settings.ts';
import { createArena } from '../../engines/memory/arena.ts';
import { setV8Flags } from '../../engines/servers/v8-flags.ts';
import { median } from '../measure/statistics.ts';
import { quietHooks, type ScalingWork, standingClock } from './thread-scaling-worker.ts';

const ARENA_BYTES = 512 * 2 ** 20;
const THREADS = 2;
const OPERATIONS = 3_000_000;

export interface Scaling {
  /** Operations per second, medians over the rounds. */
  one: number;
  two: number;
  ratio: number;
  spread: [number, number];
}

/** @throws Error when a thread fails or answers wrongly */
export async function threadScaling(rounds: number, scale: number): Promise<Scaling> {
  // As in a server's process.
  setV8Flags('memcached');
  const arena = createArena({ byteLength: ARENA_BYTES, shared: true });
  const settings = { ...defaultSettings(), maxBytes: ARENA_BYTES / 2, threads: THREADS };
  const core = new Core(arena, standingClock, settings, quietHooks, { role: 'dispatcher', threads: THREADS });
  const operations = Math.round(OPERATIONS * scale);
  const workers: Worker[] = [];
  for (let thread = 0; thread < THREADS; thread++) {
    const work: ScalingWork = {
      handle: arena.handle,
      settings,
      threads: THREADS,
      thread,
      block: core.shared.offset,
      operations,
    };
    const worker = new Worker(entryUrl(import.meta.url, './thread-scaling-worker.ts'), { workerData: work });
    workers.push(worker);
    await once(worker, 'message');
  }
  try {
    /** Operations per second of so many threads at once. */
    const rate = async (threads: number): Promise<number> => {
      const started = performance.now();
      await Promise.all(
        workers.slice(0, threads).map(async (worker) => {
          const done = once(worker, 'message');
          worker.postMessage('go');
          await done;
        }),
      );
      return (threads * operations * 1_000) / (performance.now() - started);
    };
    const ones: number[] = [];
    const twos: number[] = [];
    for (let round = 0; round <= rounds; round++) {
      const one = await rate(1);
      const two = await rate(THREADS);
      // Round 0 warms up.
      if (round === 0) continue;
      ones.push(one);
      twos.push(two);
    }
    core.verify();
    const ratios = twos.map((two, i) => two / ones[i]!);
    return {
      one: median(ones),
      two: median(twos),
      ratio: median(ratios),
      spread: [Math.min(...ratios), Math.max(...ratios)],
    };
  } finally {
    for (const worker of workers) await worker.terminate();
  }
}
