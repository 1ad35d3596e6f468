/** Sends the same random commands to our engine and to the original: no reply may differ, and our data stay whole. */
import { expect } from 'vitest';
import { createRandom } from '../../engines/base/random.ts';
import type { Random } from '../../engines/ports.ts';
import { verifyCore } from '../../engines/redis/verify.ts';
import type { Comparison, RandomCommand } from '../redis/support/random-commands.ts';
import type { TestServer } from '../redis/support/servers.ts';
import { encodeCommand, RespClient, RespError, type RespValue } from './resp-client.ts';

const BATCH = 200;
/** Replies that tell a time may differ by what passes between the two servers' turns. */
const TOLERANCE_MS = 20_000;
const CONTEXT_COMMANDS = 12;
const TIME_NAMES = ['idle', 'seen-time'];

const sorted = (items: readonly unknown[]): string[] => items.map((item) => show(item)).sort();

/** Hides the times of deliveries: in [id, consumer, time, count], [id, time, count] and behind the names of times. */
function withoutTimes(value: RespValue): unknown {
  if (value instanceof Map) {
    return [...value].map(([name, one]) => [name, TIME_NAMES.includes(String(name)) ? 'time' : withoutTimes(one)]);
  }
  if (!Array.isArray(value)) return value;
  const isId = typeof value[0] === 'string' && /^\d+-\d+$/.test(value[0]);
  if (isId && value.length === 4 && typeof value[2] === 'number') return [value[0], value[1], 'time', value[3]];
  if (isId && value.length === 3 && typeof value[1] === 'number') return [value[0], 'time', value[2]];
  return value.map((one, i) => (TIME_NAMES.includes(String(value[i - 1])) ? 'time' : withoutTimes(one)));
}

function normal(value: RespValue, compare: Comparison): unknown {
  if (value instanceof RespError) return `error: ${value.message}`;
  if (compare === 'presence') return value === null;
  if (compare === 'deliveries') return withoutTimes(value);
  if (compare === 'length') return Array.isArray(value) ? value.length : value instanceof Set ? value.size : value;
  if (compare === 'pairs') {
    if (value instanceof Map) return sorted([...value]);
    // A scan's reply: the cursor and the pairs.
    if (Array.isArray(value) && value.length === 2 && !Array.isArray(value[0]) && Array.isArray(value[1]))
      return [value[0], normal(value[1], compare)];
    if (!Array.isArray(value) || Array.isArray(value[0])) return Array.isArray(value) ? sorted(value) : value;
    const pairs: unknown[] = [];
    for (let i = 0; i < value.length; i += 2) pairs.push([value[i], value[i + 1]]);
    return sorted(pairs);
  }
  if (compare === 'unordered' && value instanceof Set) return sorted([...value]);
  if (compare === 'unordered' && Array.isArray(value)) {
    if (value.length === 2 && !Array.isArray(value[0]) && Array.isArray(value[1])) return [value[0], sorted(value[1])];
    return sorted(value);
  }
  return value;
}

function close(a: RespValue, b: RespValue, tolerance: number): boolean {
  if (typeof a === 'number' && typeof b === 'number')
    return a === b || (a > 0 && b > 0 && Math.abs(a - b) <= tolerance);
  if (typeof a === 'bigint' && typeof b === 'bigint') return Math.abs(Number(a - b)) <= tolerance;
  return false;
}

function same(a: RespValue, b: RespValue, compare: Comparison): boolean {
  if (compare === 'seconds' && close(a, b, TOLERANCE_MS / 1000)) return true;
  if (compare === 'milliseconds' && close(a, b, TOLERANCE_MS)) return true;
  const left = normal(a, compare);
  const right = normal(b, compare);
  if (typeof left !== 'object' || left === null || typeof right !== 'object' || right === null) return left === right;
  return show(left) === show(right);
}

function show(value: unknown): string {
  return JSON.stringify(value, (_, one) => {
    if (one instanceof Map) return { map: [...one] };
    if (one instanceof Set) return { set: [...one] };
    return typeof one === 'bigint' ? `${one}n` : one;
  });
}

function shorten(text: string): string {
  return text.length > 300 ? `${text.slice(0, 300)}… (${text.length} chars)` : text;
}

/** Two texts from a little before the place where they begin to differ. */
function fromDifference(mine: string, theirs: string): string {
  let at = 0;
  while (at < mine.length && mine[at] === theirs[at]) at++;
  const from = Math.max(0, at - 100);
  return `ours, from ${from}: ${shorten(mine.slice(from))}\nreal, from ${from}: ${shorten(theirs.slice(from))}`;
}

/** What came before on the same keys: enough to do it again by hand. */
function context(history: readonly RandomCommand[], at: number): string {
  const command = history[at]!;
  const keys = new Set(command.args.slice(1, 3));
  const wide = /^(flush|swapdb|select|move|copy|mset|rename)/i;
  const before: string[] = [];
  for (let i = at - 1; i >= 0 && before.length < CONTEXT_COMMANDS; i--) {
    const args = history[i]!.args;
    if (wide.test(args[0]!) || args.slice(1).some((arg) => keys.has(arg))) before.unshift(shorten(show(args)));
  }
  return [...before, `=> ${shorten(show(command.args))}`].join('\n');
}

/** What makes the commands of a run. */
export interface CommandGenerator {
  next(): RandomCommand;
}

export interface DifferentialRun {
  readonly ours: TestServer;
  readonly real: TestServer;
  readonly seed: number;
  readonly commands: number;
  /** RESP version, 2 or 3. */
  readonly protocol: number;
  readonly source: (random: Random) => CommandGenerator;
}

/** Flushes both servers, runs `commands` random commands on each and compares every reply. @throws where one differs */
export async function runDifferential(run: DifferentialRun): Promise<void> {
  const { ours, real, seed, commands } = run;
  const clients = await Promise.all([RespClient.connect({ path: ours.path }), RespClient.connect({ path: real.path })]);
  try {
    for (const client of clients) {
      await client.command('FLUSHALL');
      if (run.protocol === 3) await client.command('HELLO', '3');
    }
    const source = run.source(createRandom(seed));
    const history: RandomCommand[] = [];
    let errors = 0;
    while (history.length < commands) {
      const batch = Array.from({ length: BATCH }, () => source.next());
      const bytes = Buffer.concat(batch.map((command) => encodeCommand(command.args)));
      const [mine, theirs] = await Promise.all(clients.map((client) => client.raw(bytes, batch.length)));
      const from = history.length;
      history.push(...batch);
      for (let i = 0; i < batch.length; i++) {
        if (mine![i] instanceof RespError) errors++;
        if (same(mine![i]!, theirs![i]!, batch[i]!.compare)) continue;
        expect.fail(
          `seed ${seed}, command ${from + i}:\n${context(history, from + i)}\n` +
            fromDifference(show(normal(mine![i]!, 'exact')), show(normal(theirs![i]!, 'exact'))),
        );
      }
      const core = ours.running?.core;
      if (core !== undefined) verifyCore(core);
    }
    // A test in which everything fails alike would prove nothing.
    expect(errors).toBeLessThan(commands / 2);
  } finally {
    await Promise.all(clients.map((client) => client.close()));
  }
}
