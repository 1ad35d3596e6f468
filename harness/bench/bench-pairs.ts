/**
 * Paired measurements for `bench:engines`: the same work on the real server and on the engine in turns, as server CPU per operation.
 * Each round measures both one after the other, first one then the other way round; the figure is the median of the rounds' ratios.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { measureClosedLoop } from '../driver/closed-loop-probe.ts';
import type { Endpoint } from '../driver/load-plan.ts';
import { sampleProcess } from '../measure/process-sample.ts';
import { median } from '../measure/statistics.ts';
import type { KeptProcess } from '../target/server-keeper.ts';
import type { BenchServer } from './bench-servers.ts';

const run = promisify(execFile);

/** One line of the result table. */
export interface BenchRow {
  work: string;
  /** The real server's figure and the engine's, with their unit in the text. */
  real: string;
  ours: string;
  /** Median over the rounds; null where the row is not a ratio. */
  ratio: number | null;
  /** Lowest and highest round. */
  spread: [number, number] | null;
  target: string;
  met: boolean;
}

export interface BenchOptions {
  rounds: number;
  /** Share of the full number of operations, for a quick look. */
  scale: number;
  /** Called with a line of progress. */
  progress: (line: string) => void;
  /** Only rows whose group is named: redis, types, memcached, driver, load, memory. Empty: all. */
  only: readonly string[];
}

export const CONNECTIONS = 50;
export const KEYS = 100_000;
export const VALUE_BYTES = 100;
/** After one round the engine's code is not yet as it stays: the next one still took a tenth more (`ms` without pipelining, 160,000 operations). */
const WARM_UPS = 2;
/** A client that hangs is ended after this time. */
const CLIENT_TIMEOUT_MS = 180_000;

export interface Sample {
  cpuUs: number;
  rate: number;
}

export interface PairedWork {
  work: string;
  /** Highest ratio engine / real allowed. */
  atMost: number;
  measure: (server: BenchServer) => Promise<Sample>;
  /** Unmeasured rounds before the first one (default WARM_UPS). */
  warmUps?: number;
}

/** CPU seconds, user and system, of a process since its start. */
function cpuSeconds(server: KeptProcess): number {
  const sample = sampleProcess(server.pid);
  if (sample === null)
    throw new Error(`Cannot read the CPU time of process ${server.pid}: it ${server.died() ?? 'is gone'}`);
  return sample.userS + sample.systemS;
}

export async function withCpu(
  server: BenchServer,
  load: () => Promise<{ operations: number; seconds: number }>,
): Promise<Sample> {
  const before = cpuSeconds(server.process);
  const { operations, seconds } = await load();
  return { cpuUs: ((cpuSeconds(server.process) - before) * 1e6) / operations, rate: operations / seconds };
}

/**
 * Runs redis-benchmark once against a port.
 * @param command words of the command; `__rand_int__` in them is a random number below `keys`
 * @returns operations and the seconds it says it took
 */
export async function redisBenchmark(
  port: number,
  command: readonly string[],
  pipeline: number,
  operations: number,
  keys: number = KEYS,
): Promise<{ operations: number; seconds: number }> {
  const options = { '-h': '127.0.0.1', '-p': port, '-c': CONNECTIONS, '-r': keys, '-n': operations, '-P': pipeline };
  const { stdout } = await run(
    'redis-benchmark',
    [...Object.entries(options).flat().map(String), '--csv', ...command],
    {
      timeout: CLIENT_TIMEOUT_MS,
    },
  );
  const rate = Number(/","([\d.]+)",/.exec(stdout.trim().split('\n').at(-1) ?? '')?.[1]);
  if (!(rate > 0)) throw new Error(`Cannot read redis-benchmark's output: ${stdout.slice(0, 200)}`);
  return { operations, seconds: operations / rate };
}

/** The raw driver in a closed loop over the keys that `load` stores. */
export async function rawDriver(
  server: BenchServer,
  op: 'get' | 'set',
  pipeline: number,
  operations: number,
): Promise<{ operations: number; seconds: number }> {
  const endpoint: Pick<Endpoint, 'address' | 'protocol'> = {
    address: { kind: 'tcp', host: '127.0.0.1', port: server.port },
    protocol: server.engine === 'redis' ? 'redis' : 'memcached-ascii',
  };
  return measureClosedLoop({
    ...endpoint,
    op,
    connections: CONNECTIONS,
    pipeline,
    keys: KEYS,
    valueBytes: VALUE_BYTES,
    operations,
  });
}

export const percent = (ratio: number) => `${ratio.toFixed(2)} ×`;

export async function pairedRows(
  works: readonly PairedWork[],
  real: BenchServer,
  ours: BenchServer,
  options: BenchOptions,
): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const work of works) {
    const reals: Sample[] = [];
    const own: Sample[] = [];
    // Unmeasured rounds: the engine's code is compiled, both servers' tables have grown.
    for (let round = 0; round < (work.warmUps ?? WARM_UPS); round++) {
      await work.measure(real);
      await work.measure(ours);
    }
    for (let round = 0; round < options.rounds; round++) {
      if (round % 2 === 0) {
        reals.push(await work.measure(real));
        own.push(await work.measure(ours));
      } else {
        own.push(await work.measure(ours));
        reals.push(await work.measure(real));
      }
    }
    const ratios = own.map((sample, i) => sample.cpuUs / reals[i]!.cpuUs);
    const ratio = median(ratios);
    rows.push({
      work: work.work,
      real: `${median(reals.map((s) => s.cpuUs)).toFixed(2)} µs CPU/op, ${Math.round(median(reals.map((s) => s.rate)) / 1000)} k/s`,
      ours: `${median(own.map((s) => s.cpuUs)).toFixed(2)} µs CPU/op, ${Math.round(median(own.map((s) => s.rate)) / 1000)} k/s`,
      ratio,
      spread: [Math.min(...ratios), Math.max(...ratios)],
      target: `at most ${percent(work.atMost)}`,
      met: ratio <= work.atMost,
    });
    options.progress(`${work.work}: ${percent(ratio)}`);
  }
  return rows;
}
