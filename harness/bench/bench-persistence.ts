/**
 * `npm run bench:persistence`: what persistence costs the engine, held against redis-server in one interleaved run: CPU of an append-only
 * file, duration and disturbance of a snapshot, memory it copies, time to load.
 */
import { copyFileSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createRandom } from '../../engines/base/random.ts';
import { readScenario } from '../../scenarios/schema.ts';
import { runLoad } from '../driver/run-load.ts';
import { median } from '../measure/statistics.ts';
import { findProgram } from '../target/find-program.ts';
import { parseInfo } from '../target/redis-admin.ts';
import { ServerKeeper } from '../target/server-keeper.ts';
import {
  type BenchOptions,
  type BenchRow,
  CONNECTIONS,
  KEYS,
  type PairedWork,
  pairedRows,
  percent,
  redisBenchmark,
  VALUE_BYTES,
  withCpu,
} from './bench-pairs.ts';
import { type BenchServer, startBenchServer, startBenchServers } from './bench-servers.ts';

/** Groups of rows that `--only` names. */
export const PERSISTENCE_GROUPS = ['aof', 'bgsave', 'latency', 'load', 'copies'] as const;

const SNAPSHOT_KEYS = 1_000_000;
/** The file of a finished snapshot is looked for so often. */
const POLL_MS = 2;
const BACKGROUND_TIMEOUT_MS = 120_000;
/** Loading a million keys takes a second; a busy machine gets more. */
const LOAD_TIMEOUT_MS = 60_000;
/** Operations per second of the fixed load: a fraction of what either server could do on one core. */
const OFFERED_RATE = 5_000;
const OFFERED_SECONDS = 5;
const WARM_UP_SECONDS = 1;
/** When the single snapshot of a load begins, in seconds from the load's beginning: well inside the measured time. */
const SAVE_AT_SECONDS = 2;
/** Writes during a snapshot, as a share of the keys: few enough that they end long before it does. */
const OVERWRITTEN_SHARE = 0.02;
/** A length of another size class than `VALUE_BYTES`. */
const OTHER_VALUE_BYTES = 150;
/** How far the copied bytes may be from the original's, either way. */
const COPIES_TOLERANCE = 0.25;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
const seconds = (ms: number): string => `${(ms / 1_000).toFixed(2)} s`;

async function persistenceInfo(server: BenchServer): Promise<Record<string, string>> {
  return parseInfo(await server.ask(['INFO', 'persistence']));
}

/** Waits until neither a snapshot nor a rewrite runs or waits. */
async function idle(server: BenchServer): Promise<Record<string, string>> {
  const deadline = performance.now() + BACKGROUND_TIMEOUT_MS;
  for (;;) {
    const info = await persistenceInfo(server);
    const fields = ['rdb_bgsave_in_progress', 'aof_rewrite_in_progress', 'aof_rewrite_scheduled'];
    if (fields.every((field) => Number(info[field]) === 0)) return info;
    if (performance.now() > deadline) throw new Error('Cannot measure: a snapshot does not end');
    await sleep(20);
  }
}

/** Which file stands at this path: another one once a snapshot was renamed into place. */
function fileIdentity(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false, bigint: true });
  return stat === undefined ? '' : `${stat.ino}/${stat.mtimeNs}`;
}

/** @returns ms from BGSAVE to the finished file, which the server itself notices up to 100 ms later */
async function backgroundSave(server: BenchServer): Promise<number> {
  const path = join(server.folder, 'dump.rdb');
  const before = fileIdentity(path);
  const started = performance.now();
  await server.command(['BGSAVE']);
  while (fileIdentity(path) === before) {
    if (performance.now() - started > BACKGROUND_TIMEOUT_MS) throw new Error('Cannot measure: BGSAVE does not end');
    await sleep(POLL_MS);
  }
  return performance.now() - started;
}

/** Runs `measure` on both servers in changing order. @returns [real, ours] of each round; round 0 warms up and is left out */
async function inTurns<T>(
  { real, ours }: { real: BenchServer; ours: BenchServer },
  rounds: number,
  measure: (server: BenchServer) => Promise<T>,
): Promise<[T, T][]> {
  const pairs: [T, T][] = [];
  for (let round = 0; round <= rounds; round++) {
    const realFirst = round % 2 === 0;
    const first = await measure(realFirst ? real : ours);
    const second = await measure(realFirst ? ours : real);
    if (round > 0) pairs.push(realFirst ? [first, second] : [second, first]);
  }
  return pairs;
}

function ratioRow(
  work: string,
  pairs: readonly [number, number][],
  show: (value: number) => string,
  atMost: number,
  extra: readonly [string, string] = ['', ''],
): BenchRow {
  const ratios = pairs.map(([real, ours]) => ours / real);
  const ratio = median(ratios);
  return {
    work,
    real: show(median(pairs.map(([real]) => real))) + extra[0],
    ours: show(median(pairs.map(([, ours]) => ours))) + extra[1],
    ratio,
    spread: [Math.min(...ratios), Math.max(...ratios)],
    target: `at most ${percent(atMost)}`,
    met: ratio <= atMost,
  };
}

/** Server CPU per write while every write goes to an append-only file that is flushed once a second. */
async function aofRows(keeper: ServerKeeper, options: BenchOptions): Promise<BenchRow[]> {
  // The original's rewrites run in a process of their own, whose CPU is not the server's: neither side rewrites while it is measured.
  const flags = ['--appendonly', 'yes', '--appendfsync', 'everysec', '--auto-aof-rewrite-percentage', '0'];
  const servers = await startBenchServers(keeper, 'redis', { flags });
  try {
    for (const server of [servers.real, servers.ours]) await server.load(KEYS, VALUE_BYTES);
    const works = [1, 16].map((pipeline): PairedWork => {
      const operations = Math.max(1_000, Math.round((pipeline === 1 ? 200_000 : 1_000_000) * options.scale));
      const command = ['SET', 'key:__rand_int__', 'x'.repeat(VALUE_BYTES)];
      return {
        work: `SET with AOF everysec, ${pipeline === 1 ? 'no pipelining' : `${pipeline} deep`} (redis-benchmark)`,
        atMost: 1.4,
        measure: async (server) => {
          await server.command(['BGREWRITEAOF']);
          await idle(server);
          return withCpu(server, () => redisBenchmark(server.port, command, pipeline, operations));
        },
      };
    });
    return await pairedRows(works, servers.real, servers.ours, options);
  } finally {
    await servers.real.process.stop();
    await servers.ours.process.stop();
  }
}

async function bgsaveRows(servers: Loaded, options: BenchOptions): Promise<BenchRow[]> {
  const pauses: [number[], number[]] = [[], []];
  const pairs = await inTurns(servers, options.rounds, async (server) => {
    const took = await backgroundSave(server);
    await idle(server);
    const stats = parseInfo(await server.ask(['INFO', 'stats']));
    pauses[server === servers.real ? 0 : 1].push(Number(stats['latest_fork_usec']));
    return took;
  });
  const pause = (values: number[]): string => `, pause at the start ${(median(values) / 1_000).toFixed(1)} ms`;
  const row = ratioRow(`BGSAVE of ${shown(servers.keys)}`, pairs, seconds, 2, [pause(pauses[0]), pause(pauses[1])]);
  options.progress(`${row.work}: ${percent(row.ratio!)}`);
  return [row];
}

const shown = (keys: number): string => `${keys.toLocaleString('en')} keys of ${VALUE_BYTES} bytes`;

/** p99.9 in µs of a fixed load, half of it writes. */
async function tail(server: BenchServer, keys: number, round: number): Promise<number> {
  const text = `
title: offered load
targets: [redis]
dataset: { keys: ${keys}, keyPrefix: "key:", keyBytes: 16, valueSize: ${VALUE_BYTES} B, preload: 0% }
popularity: uniform
mix: { get: 50%, set: 50% }
connections: ${CONNECTIONS}
arrival: constant ${OFFERED_RATE}/s
warmUp: ${WARM_UP_SECONDS}s
duration: ${OFFERED_SECONDS}s
verify: 0%
`;
  const { scenario } = readScenario(text, 'bench-persistence').cells[0]!;
  const endpoint = {
    address: { kind: 'tcp' as const, host: '127.0.0.1', port: server.port },
    protocol: 'redis' as const,
    username: null,
    password: null,
    database: 0,
  };
  const report = await runLoad({ endpoint, scenario, seed: `round ${round}`, eventLoop: 'auto' });
  // Operations that were not even sent in time are the worst of a stall: a figure without them would flatter.
  if (report.errors > 0)
    throw new Error(`Cannot measure: the machine is too busy for ${OFFERED_RATE} operations a second`);
  return report.latency.find((entry) => entry.kind === 'all')!.response.p999;
}

/** One snapshot after the other, as long as `work` runs. @returns what it gives, and how many snapshots were begun */
async function whileSaving<T>(server: BenchServer, work: Promise<T>): Promise<{ value: T; saves: number }> {
  let done = false;
  let saves = 0;
  const settled = work.finally(() => {
    done = true;
  });
  while (!done) {
    await idle(server);
    if (done) break;
    await server.command(['BGSAVE']);
    saves++;
  }
  const value = await settled;
  await idle(server);
  return { value, saves };
}

/** One snapshot in the middle of `work`. @returns what that gives */
async function savingOnce(server: BenchServer, work: Promise<number>): Promise<number> {
  const save = sleep(SAVE_AT_SECONDS * 1_000).then(() => server.command(['BGSAVE']));
  const [value] = await Promise.all([work, save]);
  await idle(server);
  return value;
}

async function latencyRows(servers: Loaded, options: BenchOptions): Promise<BenchRow[]> {
  let round = 0;
  let saves = 0;
  const pairs = await inTurns(servers, options.rounds, async (server) => {
    round++;
    await idle(server);
    const load = (): Promise<number> => tail(server, servers.keys, round);
    const quiet = await load();
    const once = await savingOnce(server, load());
    const always = await whileSaving(server, load());
    if (server === servers.ours) saves += always.saves;
    return { quiet, once, always: always.value };
  });
  const ms = (us: number): string => `${(us / 1_000).toFixed(2)} ms`;
  const row = (when: 'once' | 'always', how: string): BenchRow => {
    const show = (which: 0 | 1): string => {
      const quiet = median(pairs.map((pair) => pair[which].quiet));
      const saving = median(pairs.map((pair) => pair[which][when]));
      return `${ms(quiet)} without, ${ms(saving)} with = ${percent(saving / quiet)}`;
    };
    const ratios = pairs.map(([, ours]) => ours[when] / ours.quiet);
    const ratio = median(ratios);
    options.progress(`p99.9 ${how}: ${percent(ratio)} of that without; real: ${show(0)}; ours: ${show(1)}`);
    return {
      work: `p99.9 of ${OFFERED_SECONDS} s at ${OFFERED_RATE.toLocaleString('en')}/s, half SET, ${how}`,
      real: show(0),
      ours: show(1),
      ratio,
      spread: [Math.min(...ratios), Math.max(...ratios)],
      target: `with at most ${percent(2)} without`,
      met: ratio <= 2,
    };
  };
  return [
    row('once', `with one BGSAVE of ${shown(servers.keys)} in them`),
    row('always', `one such BGSAVE after the other (${saves} in all)`),
  ];
}

const LOADED = /DB loaded from disk: ([\d.]+) seconds/;

/** Seconds that a server says its start-up load took. */
export function loadSeconds(log: string): number {
  const told = LOADED.exec(log);
  if (told === null) throw new Error(`Cannot find the load time in the server's log: ${log.slice(-300)}`);
  return Number(told[1]);
}

/** Both servers load the file that redis-server wrote. */
async function loadRows(keeper: ServerKeeper, servers: Loaded, options: BenchOptions): Promise<BenchRow[]> {
  await idle(servers.real);
  await backgroundSave(servers.real);
  await idle(servers.real);
  const source = join(servers.real.folder, 'dump.rdb');
  const once = async (which: 'real' | 'ours'): Promise<number> => {
    const folder = keeper.path('load');
    mkdirSync(folder);
    copyFileSync(source, join(folder, 'dump.rdb'));
    const server = await startBenchServer(keeper, 'redis', which, { readyTimeoutMs: LOAD_TIMEOUT_MS }, folder);
    try {
      // The line comes when all is loaded; until then commands are answered by LOADING.
      const deadline = performance.now() + LOAD_TIMEOUT_MS;
      let log = '';
      while (!LOADED.test(log)) {
        if (performance.now() > deadline) throw new Error('Cannot measure: a server does not finish loading');
        await sleep(50);
        log = readFileSync(server.process.logPath, 'utf8');
      }
      const keys = Number(await server.ask(['DBSIZE']));
      if (keys !== servers.keys) throw new Error(`Cannot measure: ${keys} of ${servers.keys} keys were loaded`);
      return loadSeconds(log);
    } finally {
      await server.process.stop();
    }
  };
  const pairs = await inTurns(servers, options.rounds, (server) => once(server === servers.real ? 'real' : 'ours'));
  const row = ratioRow(
    `Start with an RDB file of ${shown(servers.keys)} (as each server tells it)`,
    pairs,
    (value) => seconds(value * 1_000),
    2,
  );
  options.progress(`${row.work}: ${percent(row.ratio!)}`);
  return [row];
}

async function copiesRows(servers: Loaded, options: BenchOptions): Promise<BenchRow[]> {
  const random = createRandom('copies');
  const writes = Math.max(100, Math.round(servers.keys * OVERWRITTEN_SHARE));
  const keys = Array.from({ length: writes }, () => Math.floor(random.nextFloat() * servers.keys));
  const rows: BenchRow[] = [];
  // Values of the same length might be stored in place, those of another length cannot: both are to cost what they cost the original.
  for (const lengths of [
    [VALUE_BYTES, VALUE_BYTES],
    [OTHER_VALUE_BYTES, VALUE_BYTES],
  ]) {
    const row = await copiesRow(servers, options, keys, lengths);
    rows.push(row);
    options.progress(`${row.work}: ${percent(row.ratio!)}`);
  }
  return rows;
}

/** @param lengths of the values in even and odd rounds */
async function copiesRow(
  servers: Loaded,
  options: BenchOptions,
  keys: readonly number[],
  lengths: readonly number[],
): Promise<BenchRow> {
  const same = lengths[0] === lengths[1];
  const rounds = new Map<BenchServer, number>();
  let late = 0;
  const pairs = await inTurns(servers, options.rounds, async (server) => {
    const round = rounds.get(server) ?? 0;
    rounds.set(server, round + 1);
    await idle(server);
    await server.command(['BGSAVE']);
    await server.overwrite(keys, lengths[round % 2]!);
    const during = Number((await persistenceInfo(server))['rdb_bgsave_in_progress']) === 1;
    const copied = Number((await idle(server))['rdb_last_cow_size']);
    if (!during) late++;
    return copied;
  });
  const row = ratioRow(
    `Bytes copied for ${keys.length.toLocaleString('en')} overwrites ${same ? 'of the same length' : 'of another length'} during a BGSAVE of ${shown(servers.keys)} (rdb_last_cow_size)`,
    pairs,
    mib,
    1 + COPIES_TOLERANCE,
  );
  row.target = `${percent(1 - COPIES_TOLERANCE)} to ${percent(1 + COPIES_TOLERANCE)}`;
  row.met = Math.abs(row.ratio! - 1) <= COPIES_TOLERANCE;
  row.met &&= late === 0;
  if (late > 0) row.work += `; ${late} snapshots ended before the writes did`;
  return row;
}

interface Loaded {
  real: BenchServer;
  ours: BenchServer;
  keys: number;
}

/** @throws TargetError or Error with one line that says which program is missing */
export async function benchPersistence(options: BenchOptions): Promise<BenchRow[]> {
  for (const program of ['redis-server', 'redis-benchmark']) {
    if (findProgram(program) === null) {
      throw new Error(
        `Cannot hold persistence against the real server: ${program} is not on PATH. Install it (Debian: redis-server, redis-tools)`,
      );
    }
  }
  const wanted = (group: string) => options.only.length === 0 || options.only.includes(group);
  const keeper = new ServerKeeper();
  try {
    const rows: BenchRow[] = [];
    if (wanted('aof')) rows.push(...(await aofRows(keeper, options)));
    if (!['bgsave', 'latency', 'load', 'copies'].some(wanted)) return rows;
    const keys = Math.max(1_000, Math.round(SNAPSHOT_KEYS * options.scale));
    const servers = { ...(await startBenchServers(keeper, 'redis', {})), keys };
    for (const server of [servers.real, servers.ours]) await server.load(keys, VALUE_BYTES);
    if (wanted('bgsave')) rows.push(...(await bgsaveRows(servers, options)));
    if (wanted('latency')) rows.push(...(await latencyRows(servers, options)));
    if (wanted('copies')) rows.push(...(await copiesRows(servers, options)));
    if (wanted('load')) rows.push(...(await loadRows(keeper, servers, options)));
    await servers.real.process.stop();
    await servers.ours.process.stop();
    return rows;
  } finally {
    await keeper.close();
  }
}
