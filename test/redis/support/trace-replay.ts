/**
 * Replays a trace of keys: a GET, and a SET after a miss. A real server is asked over its socket; the engine runs in this process under a
 * clock that takes the course that time took then, so that the LRU clock of one second ticks at the same requests.
 */
import { dictSize } from '../../../engines/redis/structures/dict-layout.ts';
import { RespClient } from '../../support/resp-client.ts';
import { Loopback } from './loopback.ts';
import { startReal } from './servers.ts';

const ARENA_BYTES = 32 * 1024 * 1024;
const CRON_MS = 100;
const VALUE = 'x'.repeat(200);
/** What one key takes in the debian build: entry, key, object, value; and the table of up to 1,024 keys. */
const KEY_SHARE_BYTES = 32 + 16 + 16 + 224;
const TABLE_BYTES = 8_192;
/** The number of keys is looked at every so often once the cache is full. */
const LOOK_EVERY = 1_000;
const FULL_AFTER = 20_000;
/** How finely the course of time is noted. */
const TIME_EVERY = 50;
/** A paced replay looks at the clock every so many requests. */
const PACE_EVERY = 10;

/** Names have one length, so that all keys take equal memory. */
const traceKey = (key: number): string => `k:${String(key).padStart(10, '0')}`;

export interface Replayed {
  hitRatio: number;
  /** Mean number of keys once the cache is full. */
  keys: number;
  /** When it was at every TIME_EVERY-th request, in ms of the wall clock. */
  times: Float64Array;
}

export interface EngineReplay {
  /** A POLICY_ constant. */
  policy: number;
  samples: number;
  /** The course of its clock: that of a replay on a real server. */
  times: Float64Array;
  /** Memory for so many keys. */
  keys: number;
  seed: number;
}

/** Replays a trace on the engine in this process. */
export function replayOnEngine(trace: Uint32Array, options: EngineReplay): Replayed {
  const lab = new Loopback(
    ARENA_BYTES,
    (config) => {
      config.maxmemoryPolicy = options.policy;
      config.maxmemorySamples = options.samples;
    },
    options.seed,
  );
  const { times } = options;
  lab.nowMs = times[0];
  lab.open(0);
  lab.command(0, 'SET', 'k', 'v');
  lab.command(0, 'GET', 'k');
  lab.command(0, 'DEL', 'k');
  // The key that is about to be stored counts already when it is decided about eviction.
  lab.core.config.maxmemory = lab.allocator.usedBytes + (options.keys + 1) * KEY_SHARE_BYTES + TABLE_BYTES;
  lab.core.applyConfig();
  let hits = 0;
  let keys = 0;
  let looks = 0;
  let cronAtMs = times[0];
  for (let i = 0; i < trace.length; i++) {
    const key = traceKey(trace[i]);
    if (lab.command(0, 'GET', key) !== null) hits++;
    else lab.command(0, 'SET', key, VALUE);
    if (i % TIME_EVERY === 0) lab.nowMs = times[i / TIME_EVERY];
    for (; lab.nowMs >= cronAtMs; cronAtMs += CRON_MS) lab.core.cron();
    if (i > FULL_AFTER && i % LOOK_EVERY === 0) {
      keys += dictSize(lab.core.heap, lab.core.dbs[0].dict);
      looks++;
    }
  }
  return { hitRatio: hits / trace.length, keys: keys / Math.max(1, looks), times };
}

/**
 * Replays a trace on redis-server.
 * @param rate requests a second, 0: as fast as it answers
 * @param roomBytes memory beyond that of the empty server
 * @param phaseMs when within a second of the wall clock it begins
 */
export async function replayOnReal(
  trace: Uint32Array,
  policy: string,
  samples: number,
  rate: number,
  roomBytes: number,
  phaseMs: number,
): Promise<Replayed> {
  const server = await startReal(['--maxmemory-policy', policy, '--maxmemory-samples', String(samples)]);
  const client = await RespClient.connect({ path: server.path });
  const watcher = await RespClient.connect({ path: server.path });
  try {
    for (const args of [
      ['SET', 'k', 'v'],
      ['GET', 'k'],
      ['DEL', 'k'],
      ['CONFIG', 'SET', 'maxmemory', '0'],
    ]) {
      await client.command(...args);
    }
    await watcher.command('DBSIZE');
    await watcher.command('INFO', 'memory');
    const used = Number(/used_memory:(\d+)/.exec(String(await watcher.command('INFO', 'memory')))![1]);
    await watcher.command('CONFIG', 'SET', 'maxmemory', String(used + roomBytes));
    let hits = 0;
    let keys = 0;
    let looks = 0;
    await new Promise((resolve) => setTimeout(resolve, (2_000 + phaseMs - (Date.now() % 1_000)) % 1_000));
    const startMs = performance.now();
    const times = new Float64Array(Math.ceil(trace.length / TIME_EVERY));
    for (let i = 0; i < trace.length; i++) {
      if (i % TIME_EVERY === 0) times[i / TIME_EVERY] = Date.now();
      if (rate !== 0 && i % PACE_EVERY === 0) {
        const waitMs = startMs + (i * 1000) / rate - performance.now();
        if (waitMs > 1) await new Promise((resolve) => setTimeout(resolve, waitMs));
      }
      const key = traceKey(trace[i]);
      if ((await client.command('GET', key)) !== null) hits++;
      else await client.command('SET', key, VALUE);
      if (i > FULL_AFTER && i % LOOK_EVERY === 0) {
        keys += Number(await watcher.command('DBSIZE'));
        looks++;
      }
    }
    return { hitRatio: hits / trace.length, keys: keys / Math.max(1, looks), times };
  } finally {
    await Promise.all([client.close(), watcher.close()]);
    await server.stop();
  }
}
