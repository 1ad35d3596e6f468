/** The rows of `bench:engines` about containers and scripts: one command each, 16 deep, as redis-benchmark has them. */
import type { ServerKeeper } from '../target/server-keeper.ts';
import {
  type BenchOptions,
  type BenchRow,
  type PairedWork,
  pairedRows,
  redisBenchmark,
  VALUE_BYTES,
  withCpu,
} from './bench-pairs.ts';
import { type BenchServer, startBenchServers } from './bench-servers.ts';

const PIPELINE = 16;
/** Members are drawn from so many, so that nearly every one of a run is new. */
const MEMBERS = 100_000_000;
const VALUE = 'x'.repeat(VALUE_BYTES);
const MSET_KEYS = 10;
const SINGLE = 1.0;
const MANY = 1.2;
const SCRIPT = 4;

interface Work {
  name: string;
  command: readonly string[];
  atMost: number;
  operations: number;
  keys?: number;
  /** Brings the server into the state that the command needs; not measured. */
  prepare?: (server: BenchServer, operations: number) => Promise<void>;
}

const fill =
  (command: readonly string[]) =>
  async (server: BenchServer, operations: number): Promise<void> => {
    await server.command(['DEL', command[1]!]);
    await redisBenchmark(server.port, command, PIPELINE, operations, MEMBERS);
  };

const empty = (key: string) => async (server: BenchServer) => server.command(['DEL', key]);

const LPUSH = ['LPUSH', 'mylist', VALUE];
const SADD = ['SADD', 'myset', 'element:__rand_int__'];
const ZADD = ['ZADD', 'myzset', '__rand_int__', 'element:__rand_int__'];

async function fillList(server: BenchServer): Promise<void> {
  await server.command(['DEL', 'mylist']);
  await server.command(['RPUSH', 'mylist', ...Array.from({ length: 1_000 }, () => VALUE)]);
}

const range = (count: number): Work => ({
  name: `LRANGE_${count}`,
  command: ['LRANGE', 'mylist', '0', String(count - 1)],
  atMost: MANY,
  operations: 6_000_000 / count,
  prepare: fillList,
});

const works: readonly Work[] = [
  { name: 'LPUSH', command: LPUSH, atMost: SINGLE, operations: 600_000, prepare: empty('mylist') },
  { name: 'LPOP', command: ['LPOP', 'mylist'], atMost: SINGLE, operations: 600_000, prepare: fill(LPUSH) },
  { name: 'SADD', command: SADD, atMost: SINGLE, operations: 400_000, keys: MEMBERS, prepare: empty('myset') },
  { name: 'SPOP', command: ['SPOP', 'myset'], atMost: SINGLE, operations: 400_000, prepare: fill(SADD) },
  {
    name: 'HSET',
    command: ['HSET', 'myhash', 'element:__rand_int__', VALUE],
    atMost: SINGLE,
    operations: 400_000,
    prepare: empty('myhash'),
  },
  { name: 'ZADD', command: ZADD, atMost: SINGLE, operations: 300_000, keys: MEMBERS, prepare: empty('myzset') },
  { name: 'ZPOPMIN', command: ['ZPOPMIN', 'myzset'], atMost: SINGLE, operations: 300_000, prepare: fill(ZADD) },
  range(100),
  range(600),
  {
    name: `MSET (${MSET_KEYS} keys)`,
    command: ['MSET', ...Array.from({ length: MSET_KEYS }, () => ['key:__rand_int__', VALUE]).flat()],
    atMost: MANY,
    operations: 200_000,
  },
  {
    name: 'EVAL of one GET',
    command: ['EVAL', "return redis.call('GET', KEYS[1])", '1', 'key:__rand_int__'],
    atMost: SCRIPT,
    operations: 200_000,
  },
];

/** Measures every row on a fresh pair of servers. */
export async function typeRows(keeper: ServerKeeper, options: BenchOptions): Promise<BenchRow[]> {
  const { real, ours } = await startBenchServers(keeper, 'redis', {});
  try {
    const paired = works.map((work): PairedWork => {
      const operations = Math.max(1_000, Math.round(work.operations * options.scale));
      return {
        work: `Redis-like ${work.name}, ${PIPELINE} deep (redis-benchmark)`,
        atMost: work.atMost,
        measure: async (server) => {
          await work.prepare?.(server, operations);
          return withCpu(server, () => redisBenchmark(server.port, work.command, PIPELINE, operations, work.keys));
        },
      };
    });
    return await pairedRows(paired, real, ours, options);
  } finally {
    await real.process.stop();
    await ours.process.stop();
  }
}
