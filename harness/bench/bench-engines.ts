/**
 * `npm run bench:engines`: the engines held against the real servers in one interleaved run. Server CPU per operation is the measure,
 * because client and server share the machine's cores and wall-clock rates drift by tens of percent from minute to minute.
 */
import { readFileSync } from 'node:fs';
import { sampleProcess } from '../measure/process-sample.ts';
import { median } from '../measure/statistics.ts';
import { findProgram } from '../target/find-program.ts';
import { ServerKeeper } from '../target/server-keeper.ts';
import { memcachedRows } from './bench-memcached.ts';
import {
  type BenchOptions,
  type BenchRow,
  KEYS,
  type PairedWork,
  pairedRows,
  percent,
  rawDriver,
  redisBenchmark,
  VALUE_BYTES,
  withCpu,
} from './bench-pairs.ts';
import { type BenchServer, startBenchServers, stringRows } from './bench-servers.ts';
import { typeRows } from './bench-types.ts';

const GET = ['GET', 'key:__rand_int__'];

async function redisRows(real: BenchServer, ours: BenchServer, options: BenchOptions): Promise<BenchRow[]> {
  const works: PairedWork[] = [];
  for (const pipeline of [1, 16]) {
    const operations = Math.round((pipeline === 1 ? 200_000 : 1_500_000) * options.scale);
    for (const command of [GET, ['SET', 'key:__rand_int__', 'x'.repeat(VALUE_BYTES)]]) {
      works.push({
        work: `Redis-like ${command[0]}, ${pipeline === 1 ? 'no pipelining' : `${pipeline} deep`} (redis-benchmark)`,
        atMost: pipeline === 1 ? 1.1 : 0.9,
        measure: (server) => withCpu(server, () => redisBenchmark(server.port, command, pipeline, operations)),
      });
    }
  }
  return pairedRows(works, real, ours, options);
}

/** The raw driver's closed-loop rate against redis-benchmark's, both on the same real server. */
async function driverRows(real: BenchServer, options: BenchOptions): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const pipeline of [1, 16]) {
    const operations = Math.round((pipeline === 1 ? 200_000 : 1_500_000) * options.scale);
    const theirs: number[] = [];
    const own: number[] = [];
    for (let round = 0; round <= options.rounds; round++) {
      const order = round % 2 === 0 ? ['theirs', 'own'] : ['own', 'theirs'];
      for (const who of order) {
        const load =
          who === 'theirs'
            ? await redisBenchmark(real.port, GET, pipeline, operations)
            : await rawDriver(real, 'get', pipeline, operations);
        // Round 0 warms up.
        if (round > 0) (who === 'theirs' ? theirs : own).push(load.operations / load.seconds);
      }
    }
    const ratios = own.map((rate, i) => rate / theirs[i]!);
    const ratio = median(ratios);
    rows.push({
      work: `Raw driver's rate, GET on redis-server, ${pipeline === 1 ? 'no pipelining' : `${pipeline} deep`}`,
      real: `redis-benchmark ${Math.round(median(theirs) / 1000)} k/s`,
      ours: `raw driver ${Math.round(median(own) / 1000)} k/s`,
      ratio,
      spread: [Math.min(...ratios), Math.max(...ratios)],
      target: `at least ${percent(0.9)}`,
      met: ratio >= 0.9,
    });
    options.progress(`raw driver, pipeline ${pipeline}: ${percent(ratio)} of redis-benchmark's rate`);
  }
  return rows;
}

/** Longest garbage-collection pause in ms that a server's --trace-gc output tells of. */
export function longestGcPauseMs(log: string): number {
  let longest = 0;
  // "[123:0x…]   45 ms: Scavenge 5.0 (6.1) -> 4.0 (6.1) MB, 0.8 / 0.0 ms  (average …) …"
  for (const match of log.matchAll(/ms: (?:Scavenge|Mark-Compact|Mark-sweep)[^\n]*? MB, ([\d.]+) \/ [\d.]+ ms/g)) {
    longest = Math.max(longest, Number(match[1]));
  }
  return longest;
}

async function loadRows(keeper: ServerKeeper, options: BenchOptions): Promise<BenchRow[]> {
  const keys = Math.round(1_000_000 * options.scale);
  const servers = await startBenchServers(keeper, 'redis', { nodeFlags: ['--trace-gc'] });
  const bare = await keeper.spawn([process.execPath, '-e', 'setInterval(() => {}, 1000)']);
  try {
    const resident: number[] = [];
    for (const server of [servers.real, servers.ours]) {
      await server.load(keys, VALUE_BYTES);
      resident.push(sampleProcess(server.process.pid)!.rssBytes);
    }
    const bareBytes = sampleProcess(bare.pid)!.rssBytes;
    const bound = 1.1 * resident[0]! + bareBytes;
    const pause = longestGcPauseMs(readFileSync(servers.ours.process.logPath, 'utf8'));
    const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
    options.progress(`1,000,000 keys: pause ${pause} ms, resident ${mib(resident[1]!)} against ${mib(resident[0]!)}`);
    return [
      {
        work: `Longest GC pause while ${keys.toLocaleString('en')} keys of ${VALUE_BYTES} bytes load`,
        real: 'none',
        ours: `${pause.toFixed(1)} ms`,
        ratio: null,
        spread: null,
        target: 'at most 5 ms',
        met: pause <= 5,
      },
      {
        work: 'Resident memory after that',
        real: `${mib(resident[0]!)} (a bare Node.js: ${mib(bareBytes)})`,
        ours: mib(resident[1]!),
        ratio: resident[1]! / resident[0]!,
        spread: null,
        target: `at most 1.1 × + bare Node.js = ${mib(bound)}`,
        met: resident[1]! <= bound,
      },
    ];
  } finally {
    await bare.stop();
    await servers.real.process.stop();
    await servers.ours.process.stop();
  }
}

/** `used_memory` growth and MEMORY USAGE of the string shapes, real server beside engine. */
async function memoryRows(keeper: ServerKeeper, options: BenchOptions): Promise<BenchRow[]> {
  const rows = await stringRows(keeper, Math.max(1_000, Math.round(KEYS * options.scale)));
  const equal = rows.filter((row) => row.equal).length;
  options.progress(`memory of string shapes: ${equal} of ${rows.length} equal`);
  return rows.map((row) => ({
    work: `used_memory growth and MEMORY USAGE, ${row.shape}`,
    real: row.real,
    ours: row.ours,
    ratio: null,
    spread: null,
    target: 'equal to the byte',
    met: row.equal,
  }));
}

/** @throws TargetError or Error with one line that says which program is missing */
export async function benchEngines(options: BenchOptions): Promise<BenchRow[]> {
  for (const program of ['redis-server', 'redis-benchmark', 'memcached']) {
    if (findProgram(program) === null) {
      throw new Error(
        `Cannot hold the engines against the real servers: ${program} is not on PATH. Install it (Debian: redis-server, redis-tools, memcached)`,
      );
    }
  }
  const wanted = (group: string) => options.only.length === 0 || options.only.includes(group);
  const keeper = new ServerKeeper();
  try {
    const rows: BenchRow[] = [];
    if (wanted('redis') || wanted('driver')) {
      const { real, ours } = await startBenchServers(keeper, 'redis', {});
      await real.load(KEYS, VALUE_BYTES);
      await ours.load(KEYS, VALUE_BYTES);
      if (wanted('redis')) rows.push(...(await redisRows(real, ours, options)));
      if (wanted('driver')) rows.push(...(await driverRows(real, options)));
      await real.process.stop();
      await ours.process.stop();
    }
    if (wanted('types')) rows.push(...(await typeRows(keeper, options)));
    if (wanted('memcached')) rows.push(...(await memcachedRows(keeper, options)));
    if (wanted('load')) rows.push(...(await loadRows(keeper, options)));
    if (wanted('memory')) rows.push(...(await memoryRows(keeper, options)));
    return rows;
  } finally {
    await keeper.close();
  }
}

/** The table in markdown. */
export function benchTable(rows: readonly BenchRow[]): string {
  const lines = [
    '| work | real server | cachelab | ratio (lowest … highest round) | target | met |',
    '| --- | --- | --- | --- | --- | --- |',
  ];
  for (const row of rows) {
    const ratio = row.ratio === null ? '' : percent(row.ratio);
    const spread = row.spread === null ? '' : ` (${row.spread[0].toFixed(2)} … ${row.spread[1].toFixed(2)})`;
    lines.push(
      `| ${row.work} | ${row.real} | ${row.ours} | ${ratio}${spread} | ${row.target} | ${row.met ? 'yes' : '**falls short**'} |`,
    );
  }
  return `${lines.join('\n')}\n`;
}
