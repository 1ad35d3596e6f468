/**
 * Kills the Redis-like server (SIGKILL) at random moments under writes, rewrites and snapshots, and starts it again on what is left: it
 * always starts, units are there whole or not at all, and what was acknowledged is there as the policy promises.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import type { Random } from '../../engines/ports.ts';
import { embeddedCommand } from '../support/redis-pair.ts';
import { encodeCommand, RespClient, RespError } from '../support/resp-client.ts';
import { seededRandom, testScale } from '../support/seed.ts';

const KILLS = 10 * testScale;
const WRITERS = 3;
/** Units that a writer has under way at the most. */
const DEPTH = 8;
const LIFE_MS = 250;
const START_TIMEOUT_MS = 30_000;
/** With everysec a write may wait so long for a sync that is under way. */
const EVERYSEC_LOSS_MS = 2_000;
const KEPT_ELEMENTS = 5_000;
const FILLER = 'x'.repeat(300);

interface Server {
  readonly process: ChildProcess;
  readonly socket: string;
  output(): string;
}

const running = new Set<ChildProcess>();
const folders: string[] = [];

afterAll(() => {
  for (const child of running) child.kill('SIGKILL');
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

async function start(folder: string, flags: readonly string[]): Promise<Server> {
  const [program, args] = embeddedCommand();
  const socket = join(folder, 's');
  const all = [...args, '--port', '0', '--unixsocket', socket, '--dir', folder, '--save', '', ...flags];
  const child = spawn(program, all, { stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  child.once('exit', () => running.delete(child));
  let output = '';
  child.stdout.on('data', (data: Buffer) => (output += data.toString()));
  child.stderr.on('data', (data: Buffer) => (output += data.toString()));
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!output.includes('ready to accept connections at')) {
    if (child.exitCode !== null || Date.now() > deadline) {
      child.kill('SIGKILL');
      throw new Error(`Cannot start on what a kill has left: ${output}\n${readdirSync(folder, { recursive: true })}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return { process: child, socket, output: () => output };
}

/** What one writer has sent and been told. Its units are numbered; those before `from` are known to be there. */
class Writer {
  readonly name: string;
  /** Number of the next unit. */
  next = 0;
  /** Units that were there when the server was last looked at. */
  first = 0;
  /** When each unit from `first` on was acknowledged, in order. */
  readonly acknowledged: number[] = [];

  constructor(name: string) {
    this.name = name;
  }

  /** Sends units until the connection ends. */
  async run(client: RespClient, random: Random): Promise<void> {
    for (;;) {
      const count = 1 + random.nextBelow(DEPTH);
      const requests: Buffer[] = [];
      for (let i = 0; i < count; i++) requests.push(this.unit(this.next + i));
      this.next += count;
      const replies = await Promise.race([client.raw(Buffer.concat(requests), count * 6), client.closed]);
      if (replies === undefined) return;
      for (let i = 0; i < count; i++) {
        const reply = replies[i * 6 + 5];
        if (reply instanceof RespError) {
          if (reply.message === '(connection closed)') return;
          throw new Error(`A write was refused: ${reply.message}`);
        }
        this.acknowledged.push(Date.now());
      }
    }
  }

  private unit(number: number): Buffer {
    return Buffer.concat(
      [
        ['MULTI'],
        ['RPUSH', `log:${this.name}`, number],
        ['SET', `a:${this.name}`, number],
        ['SET', `fill:${this.name}:${number % 100}`, number + FILLER],
        ['LTRIM', `log:${this.name}`, -KEPT_ELEMENTS, -1],
        ['EXEC'],
      ].map((words) => encodeCommand(words)),
    );
  }

  /** How many units the server has; each is there whole, and none before it is missing. */
  async look(client: RespClient): Promise<number> {
    const log = (await client.command('LRANGE', `log:${this.name}`, 0, -1)) as string[];
    const last = await client.command('GET', `a:${this.name}`);
    const count = log.length === 0 ? 0 : Number(log.at(-1)) + 1;
    expect(last).toBe(count === 0 ? null : String(count - 1));
    expect(log).toEqual(
      Array.from({ length: Math.min(count, KEPT_ELEMENTS) }, (_, i) => String(count - log.length + i)),
    );
    for (let i = Math.max(0, count - 100); i < count; i++) {
      expect(await client.command('GET', `fill:${this.name}:${i % 100}`)).toBe(i + FILLER);
    }
    expect(count, 'units that nobody sent').toBeLessThanOrEqual(this.next);
    return count;
  }

  /** Goes on from what is there. */
  goOn(count: number): void {
    this.first = count;
    this.next = count;
    this.acknowledged.length = 0;
  }

  /** Units that had been acknowledged by a moment. */
  owed(by: number): number {
    return this.first + this.acknowledged.filter((at) => at <= by).length;
  }
}

/** Things that happen beside the writes. */
async function disturb(client: RespClient, random: Random, words: readonly string[][]): Promise<void> {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, random.nextBelow(60)));
    const reply = client.command(...words[random.nextBelow(words.length)]!);
    if ((await Promise.race([reply, client.closed])) === undefined) return;
  }
}

async function killAgainAndAgain(
  random: Random,
  flags: readonly string[],
  lossMs: number,
  kills: number,
): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'cachelab-kill-'));
  folders.push(folder);
  const writers = Array.from({ length: WRITERS }, (_, i) => new Writer(String(i)));
  const words = [['BGREWRITEAOF'], ['BGREWRITEAOF'], ['BGSAVE', 'SCHEDULE']];
  let units = 0;
  for (let kill = 0; kill <= kills; kill++) {
    const server = await start(folder, flags);
    const connect = (): Promise<RespClient> => RespClient.connect({ path: server.socket });
    const looker = await connect();
    const said = `kill ${kill}\n`;
    const counts = await Promise.all(writers.map((writer) => writer.look(looker)));
    writers.forEach((writer, i) => {
      const owed = writer.owed(lossMs === 0 ? Number.POSITIVE_INFINITY : killedAt - lossMs);
      if (counts[i]! < owed)
        expect.fail(`${said}writer ${i}: ${counts[i]} units of ${owed} are there\n${server.output()}`);
      units += counts[i]! - writer.first;
      writer.goOn(counts[i]!);
    });
    const clients = await Promise.all(writers.map(connect));
    const work = [disturb(looker, random, words), ...writers.map((writer, i) => writer.run(clients[i]!, random))];
    await new Promise((resolve) => setTimeout(resolve, random.nextBelow(LIFE_MS)));
    const ended = once(server.process, 'exit');
    // Before it, as this process may hear late of its end.
    killedAt = Date.now();
    server.process.kill('SIGKILL');
    await ended;
    await Promise.all(work);
    await Promise.all([looker, ...clients].map((client) => client.close()));
  }
  return units;
}

let killedAt = 0;
const GROWING = ['--auto-aof-rewrite-min-size', '100kb', '--auto-aof-rewrite-percentage', '50'];
const AOF = ['--appendonly', 'yes', ...GROWING];

for (const [policy, lossMs] of [
  ['always', 0],
  ['everysec', EVERYSEC_LOSS_MS],
] as const) {
  it(`a server killed ${KILLS} times with appendfsync ${policy} keeps what it has acknowledged`, {
    timeout: 120_000 * testScale,
  }, async () => {
    const random = seededRandom(`kills with appendfsync ${policy}`);
    const units = await killAgainAndAgain(random, [...AOF, '--appendfsync', policy], lossMs, KILLS);
    console.log(`${policy}: ${KILLS} kills, ${units} units of 4 writes read back`);
    expect(units).toBeGreaterThan(KILLS);
  });
}

it(`a server killed ${KILLS} times while it saves always has a whole snapshot`, {
  timeout: 120_000 * testScale,
}, async () => {
  const random = seededRandom('kills while saving');
  const folder = mkdtempSync(join(tmpdir(), 'cachelab-kill-'));
  folders.push(folder);
  const writer = new Writer('0');
  let saved = 0;
  for (let kill = 0; kill <= KILLS; kill++) {
    const server = await start(folder, ['--save', '1 10']);
    const looker = await RespClient.connect({ path: server.socket });
    const count = await writer.look(looker);
    expect(count).toBeGreaterThanOrEqual(saved);
    writer.goOn(count);
    const client = await RespClient.connect({ path: server.socket });
    const saves = async (): Promise<void> => {
      for (;;) {
        await new Promise((resolve) => setTimeout(resolve, random.nextBelow(30)));
        const before = writer.first + writer.acknowledged.length;
        const command = looker.command(random.nextBelow(3) === 0 ? 'SAVE' : 'BGSAVE');
        const reply = await Promise.race([command, looker.closed]);
        if (reply === undefined) return;
        if (reply === 'OK') saved = before;
      }
    };
    const work = [saves(), writer.run(client, random)];
    // However busy the machine is: the lives that follow have a snapshot to begin with.
    while (kill === 0 && saved === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    await new Promise((resolve) => setTimeout(resolve, random.nextBelow(LIFE_MS)));
    const ended = once(server.process, 'exit');
    server.process.kill('SIGKILL');
    await ended;
    await Promise.all(work);
    await Promise.all([looker.close(), client.close()]);
  }
});
