/** Rows of `bench:engines` for the Memcached-like engine: one and two worker threads, each held against the original with as many. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { createRandom } from '../../engines/base/random.ts';
import { findProgram } from '../target/find-program.ts';
import type { ServerKeeper } from '../target/server-keeper.ts';
import {
  type BenchOptions,
  type BenchRow,
  CONNECTIONS,
  KEYS,
  type PairedWork,
  pairedRows,
  percent,
  rawDriver,
  VALUE_BYTES,
  withCpu,
} from './bench-pairs.ts';
import { type BenchServer, benchKey, startBenchServers } from './bench-servers.ts';
import { type FixedBatch, runFixedLoad } from './fixed-load.ts';
import { threadScaling } from './thread-scaling.ts';

const run = promisify(execFile);

const MULTIGET_KEYS = 100;
/** Different batches of prepared requests: enough that keys come from the whole set. */
const BATCHES = 500;
const SLAP_TIMEOUT_MS = 180_000;
/** What a second thread must bring where the machine has two cores for it. */
const SCALING_MIN = 1.7;

/** A kind of request of which the reply's length is known. */
interface FixedKind {
  readonly name: string;
  readonly requestsPerBatch: number;
  readonly operations: number;
  readonly atMost: number;
  readonly batch: (nextKey: () => string) => FixedBatch;
}

const VALUE = 'x'.repeat(VALUE_BYTES);

function repeated(times: number, one: (key: string) => string, replyBytes: number) {
  return (nextKey: () => string): FixedBatch => {
    let text = '';
    for (let i = 0; i < times; i++) text += one(nextKey());
    return { request: Buffer.from(text, 'latin1'), replyBytes: times * replyBytes };
  };
}

const VALUE_LINE_BYTES = `VALUE ${benchKey(0)} 0 ${VALUE_BYTES}\r\n${VALUE}\r\n`.length;

const KINDS: readonly FixedKind[] = [
  {
    name: `get of ${MULTIGET_KEYS} keys`,
    requestsPerBatch: 1,
    operations: 20_000,
    atMost: 1,
    batch: (nextKey) => ({
      request: Buffer.from(`get ${Array.from({ length: MULTIGET_KEYS }, nextKey).join(' ')}\r\n`, 'latin1'),
      replyBytes: MULTIGET_KEYS * VALUE_LINE_BYTES + 'END\r\n'.length,
    }),
  },
  ...[1, 16].flatMap((deep): FixedKind[] => {
    const operations = deep === 1 ? 200_000 : 1_000_000;
    const how = deep === 1 ? 'no pipelining' : `${deep} deep`;
    return [
      {
        name: `mg KEY v, ${how}`,
        requestsPerBatch: deep,
        operations,
        atMost: deep === 1 ? 1.1 : 1,
        batch: repeated(deep, (key) => `mg ${key} v\r\n`, `VA ${VALUE_BYTES}\r\n${VALUE}\r\n`.length),
      },
      {
        name: `ms KEY ${VALUE_BYTES}, ${how}`,
        requestsPerBatch: deep,
        operations,
        atMost: deep === 1 ? 1.1 : 1,
        batch: repeated(deep, (key) => `ms ${key} ${VALUE_BYTES}\r\n${VALUE}\r\n`, 'HD\r\n'.length),
      },
    ];
  }),
];

function fixedWorks(threads: number, options: BenchOptions): PairedWork[] {
  const random = createRandom('bench memcached');
  const nextKey = (): string => benchKey(random.nextBelow(KEYS));
  return KINDS.map((kind) => {
    const batches = Array.from({ length: BATCHES }, () => kind.batch(nextKey));
    const count = Math.max(BATCHES, Math.round((kind.operations * options.scale) / kind.requestsPerBatch));
    return {
      work: `Memcached-like -t ${threads}, ${kind.name}`,
      atMost: kind.atMost,
      measure: (server) =>
        withCpu(server, async () => ({
          operations: count * kind.requestsPerBatch,
          seconds: await runFixedLoad({ port: server.port, connections: CONNECTIONS, batches, count }),
        })),
    };
  });
}

function driverWorks(threads: number, options: BenchOptions): PairedWork[] {
  const works: PairedWork[] = [];
  for (const pipeline of [1, 16]) {
    const operations = Math.round((pipeline === 1 ? 200_000 : 1_500_000) * options.scale);
    for (const op of ['get', 'set'] as const) {
      works.push({
        work: `Memcached-like -t ${threads}, ${op.toUpperCase()}, ${pipeline === 1 ? 'no pipelining' : `${pipeline} deep`} (raw driver)`,
        atMost: pipeline === 1 ? 1.1 : 1.0,
        measure: (server) => withCpu(server, () => rawDriver(server, op, pipeline, operations)),
      });
    }
  }
  return works;
}

/**
 * Each worker thread compiles for itself, and from its first to its fourth round of so few operations memcslap's get takes 10, 6, 3 and 2 µs of
 * user CPU on two threads.
 */
const SLAP_WARM_UPS = 4;

/** libmemcached's load generator: each of 20 threads sends so many requests, one after the other. */
function slapWorks(threads: number, options: BenchOptions): PairedWork[] {
  const concurrency = 20;
  const each = Math.max(200, Math.round(5_000 * options.scale));
  return (['get', 'set'] as const).map((test) => ({
    work: `Memcached-like -t ${threads}, ${test} (memcslap)`,
    atMost: 1.1,
    warmUps: SLAP_WARM_UPS,
    measure: (server) =>
      withCpu(server, async () => {
        const started = performance.now();
        await run(
          'memcslap',
          [
            `--servers=127.0.0.1:${server.port}`,
            `--concurrency=${concurrency}`,
            `--execute-number=${each}`,
            `--test=${test}`,
          ],
          { timeout: SLAP_TIMEOUT_MS },
        );
        // A get test first stores what it will ask for.
        const loaded = test === 'get' ? each : 0;
        return { operations: concurrency * each + loaded, seconds: (performance.now() - started) / 1_000 };
      }),
  }));
}

async function scalingRow(options: BenchOptions): Promise<BenchRow> {
  const { one, two, ratio, spread } = await threadScaling(options.rounds, options.scale);
  const shown = (rate: number): string => `${(rate / 1e6).toFixed(2)} million operations/s`;
  options.progress(`two threads: ${percent(ratio)} of one`);
  return {
    work: 'Memcached-like, 9 get and 1 set of 100 bytes executed by worker threads without sockets: two against one',
    real: `one: ${shown(one)}`,
    ours: `two: ${shown(two)}`,
    ratio,
    spread,
    target: `at least ${percent(SCALING_MIN)}`,
    met: ratio >= SCALING_MIN,
  };
}

export async function memcachedRows(keeper: ServerKeeper, options: BenchOptions): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const threads of [1, 2]) {
    const { real, ours } = await startBenchServers(keeper, 'memcached', { flags: ['-t', String(threads)] });
    const load = (server: BenchServer): Promise<void> => server.load(KEYS, VALUE_BYTES);
    await load(real);
    await load(ours);
    const works = [...driverWorks(threads, options), ...fixedWorks(threads, options)];
    // memcslap overwrites keys of its own only, but fills the cache: last.
    if (findProgram('memcslap') !== null) works.push(...slapWorks(threads, options));
    rows.push(...(await pairedRows(works, real, ours, options)));
    await real.process.stop();
    await ours.process.stop();
  }
  rows.push(await scalingRow(options));
  return rows;
}
