/** The same random commands to our engine and to the original: no reply may differ. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createRandom } from '../../engines/base/random.ts';
import { CommandSource, type Comparison, type RandomCommand } from '../redis/support/random-commands.ts';
import { startOurs, startReal, type TestServer } from '../redis/support/servers.ts';
import { describeReal } from '../support/real.ts';
import { encodeCommand, RespClient, RespError, type RespValue } from '../support/resp-client.ts';
import { testScale } from '../support/seed.ts';

const COMMANDS_PER_SEED = 34_000 * testScale;
const BATCH = 200;
/** Replies that tell a time may differ by what passes between the two servers' turns. */
const TOLERANCE_MS = 3_000;
const CONTEXT_COMMANDS = 12;

function normal(value: RespValue, compare: Comparison): unknown {
  if (value instanceof RespError) return `error: ${value.message}`;
  if (compare === 'presence') return value === null;
  if (compare === 'unordered' && Array.isArray(value)) {
    if (value.length === 2 && Array.isArray(value[1])) return [value[0], [...value[1]].sort()];
    return [...value].sort();
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

describeReal(['redis-server'], 'random commands of the string and generic groups', () => {
  let ours: TestServer;
  let real: TestServer;

  beforeAll(async () => {
    [ours, real] = await Promise.all([startOurs(), startReal()]);
  });
  afterAll(async () => {
    await Promise.all([ours?.stop(), real?.stop()]);
  });

  const first = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_007);
  for (let run = 0; run < 3; run++) {
    const seed = first + run;
    const protocol = run === 1 ? 3 : 2;
    it(`are answered alike (seed ${seed}, RESP${protocol})`, { timeout: 120_000 * testScale }, async () => {
      console.log(`random commands: TEST_SEED=${first} (this run: ${seed})`);
      const clients = await Promise.all([
        RespClient.connect({ path: ours.path }),
        RespClient.connect({ path: real.path }),
      ]);
      try {
        for (const client of clients) {
          await client.command('FLUSHALL');
          if (protocol === 3) await client.command('HELLO', '3');
        }
        const source = new CommandSource(createRandom(seed));
        const history: RandomCommand[] = [];
        let errors = 0;
        while (history.length < COMMANDS_PER_SEED) {
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
                `ours: ${shorten(show(normal(mine![i]!, 'exact')))}\nreal: ${shorten(show(normal(theirs![i]!, 'exact')))}`,
            );
          }
        }
        // A test in which everything fails alike would prove nothing.
        expect(errors).toBeLessThan(COMMANDS_PER_SEED / 3);
      } finally {
        await Promise.all(clients.map((client) => client.close()));
      }
    });
  }
});
