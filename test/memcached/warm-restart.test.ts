import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { entryUrl } from '../../engines/base/entry.ts';
import { requireReal } from '../support/real.ts';
import { RawConnection } from './real-memcached.ts';

const MAIN = fileURLToPath(entryUrl(import.meta.url, '../../harness/cli/cachelab-memcached.ts'));
const TIMEOUT = { timeout: 60_000 };
const START_TIMEOUT_MS = 20_000;
const END = Buffer.from('END\r\n');

/** A server with a memory file; ours or the original. */
class Keeper {
  readonly child: ChildProcess;
  readonly #ended: Promise<number | null>;
  readonly #path: string;
  messages = '';

  constructor(program: string, args: string[], folder: string) {
    this.#path = join(folder, 'socket');
    rmSync(this.#path, { force: true });
    this.child = spawn(program, [...args, '-s', this.#path, '-e', join(folder, 'memory')], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.child.stderr!.on('data', (data: Buffer) => {
      this.messages += data.toString();
    });
    this.#ended = new Promise((resolve) => this.child.once('close', (code) => resolve(code)));
  }

  async connect(): Promise<RawConnection> {
    const deadline = Date.now() + START_TIMEOUT_MS;
    for (;;) {
      const socket = net.connect({ path: this.#path });
      const isOpen = await new Promise((resolve) => {
        socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      });
      if (isOpen) return new RawConnection(socket);
      if (Date.now() > deadline || this.child.exitCode !== null) throw new Error(`no server: ${this.messages}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async stop(signal: NodeJS.Signals): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill(signal);
    return this.#ended;
  }
}

const running: Keeper[] = [];
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'cachelab-restart-'));
});

afterEach(async () => {
  for (const keeper of running.splice(0)) await keeper.stop('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

function ours(...args: string[]): Keeper {
  const threads = args.includes('-t') ? [] : ['-t', '1'];
  const keeper = new Keeper(process.execPath, [MAIN, '--verify-on-exit', ...threads, ...args], folder);
  running.push(keeper);
  return keeper;
}

function theirs(...args: string[]): Keeper {
  const user = process.getuid?.() === 0 ? ['-u', 'root'] : [];
  const keeper = new Keeper(requireReal('memcached')!, [...user, '-t', '1', ...args], folder);
  running.push(keeper);
  return keeper;
}

const ITEMS = 100_000;
const FEW_ITEMS = 20_000;
const ttl = (i: number): number => (i % 4 === 0 ? 1_000 + i : 0);
const value = (i: number): string => `value of ${i} `.repeat(1 + (i % 5));

async function store(keeper: Keeper, items = FEW_ITEMS): Promise<void> {
  const connection = await keeper.connect();
  let text = '';
  for (let i = 0; i < items; i++) {
    const bytes = value(i);
    text += `set key${i} ${i} ${ttl(i)} ${bytes.length} noreply\r\n${bytes}\r\n`;
  }
  const large = 'x'.repeat(700_000);
  text += `set large 7 0 ${large.length}\r\n${large}\r\n`;
  expect((await connection.ask(text, Buffer.from('STORED\r\n'), 20_000)).toString()).toBe('STORED\r\n');
  connection.socket.destroy();
}

interface Sample {
  /** Flags, CAS ids and values of some keys. */
  text: string;
  /** Seconds that items have left, in the order of the keys; -1 for ever. */
  left: number[];
  items: string;
}

async function sample(keeper: Keeper): Promise<Sample> {
  const connection = await keeper.connect();
  const asked = Array.from({ length: 500 }, (_, i) => `mg key${i * 199} f c t v`);
  const reply = (await connection.ask(`${asked.join('\r\n')}\r\nget large\r\n`, END, 10_000)).toString();
  const items = await countItems(connection);
  connection.socket.destroy();
  return {
    text: reply.replace(/ t\S+/g, ''),
    left: [...reply.matchAll(/ t(\S+)/g)].map((match) => Number(match[1])),
    items,
  };
}

/** What most of some answers say: an item that is moving from one LRU to another at that moment is counted in none or in both. */
async function countItems(connection: RawConnection): Promise<string> {
  const counts: string[] = [];
  for (let i = 0; i < 5; i++) {
    const stats = (await connection.ask('stats\r\n', END)).toString();
    counts.push(/STAT curr_items (\d+)/.exec(stats)![1]!);
  }
  return counts.sort()[2]!;
}

/** A machine that is busy with other things takes its time to answer. */
const SAMPLE_SECONDS_MAX = 8;

/** Time has gone on for all items alike, and nothing else has changed. */
function expectSame(after: Sample, before: Sample): void {
  expect([after.text, after.items]).toEqual([before.text, before.items]);
  const gone = before.left.map((left, i) => (left < 0 ? 0 : left - after.left[i]!));
  const most = Math.max(...gone);
  expect(most).toBeLessThan(TIMEOUT.timeout / 1000);
  expect(gone.filter((seconds, i) => before.left[i]! >= 0 && most - seconds > SAMPLE_SECONDS_MAX)).toEqual([]);
}

const countOf = async (keeper: Keeper): Promise<string> => (await sample(keeper)).items;

const pairs = [
  ['1', '1'],
  ['4', '4'],
  ['1', '4'],
] as const;

describe.skipIf(process.platform !== 'linux')('A warm restart', () => {
  it.each(pairs)(
    'from -t %s to -t %s keeps 100,000 items with their times, flags and CAS ids',
    TIMEOUT,
    async (from, to) => {
      const first = ours('-t', from);
      await store(first, ITEMS);
      const before = await sample(first);
      expect(await first.stop('SIGUSR1')).toBe(0);
      expect(first.messages).toContain('no metadata save file, starting with a clean cache');
      expect(first.messages).toContain('Gracefully stopping');
      const second = ours('-t', to, '-v');
      const after = await sample(second);
      expectSame(after, before);
      expect(after.items).toBe(String(ITEMS + 1));
      expect(second.messages).toMatch(/original memory base: \[0x[0-9a-f]+\] new base:/);
      expect(existsSync(join(folder, 'memory.meta'))).toBe(false);
      expect(await second.stop('SIGTERM')).toBe(0);
      expect(second.messages).toContain('all is right');
    },
  );

  it('does not happen after SIGTERM, SIGINT or kill -9, or when settings differ', TIMEOUT, async () => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGKILL'] as const) {
      const first = ours();
      await store(first);
      await first.stop(signal);
      expect(existsSync(join(folder, 'memory.meta'))).toBe(false);
      const second = ours();
      expect(await countOf(second)).toBe('0');
      await second.stop('SIGKILL');
    }
    const first = ours();
    await store(first);
    await first.stop('SIGUSR1');
    const second = ours('-m', '128');
    expect(await countOf(second)).toBe('0');
    expect(second.messages).toContain('restart incompatible due to setting for [maxbytes] [old value: 67108864]');
    expect(await second.stop('SIGTERM')).toBe(0);
  });

  it('does not happen with a cut or foreign file, and nothing breaks', TIMEOUT, async () => {
    const first = ours();
    await store(first);
    await first.stop('SIGUSR1');
    const meta = readFileSync(join(folder, 'memory.meta'));
    const memory = readFileSync(join(folder, 'memory'));
    for (const damaged of [memory.subarray(0, 3_000_000), Buffer.alloc(memory.length, 0xff), Buffer.alloc(0)]) {
      writeFileSync(join(folder, 'memory'), damaged);
      writeFileSync(join(folder, 'memory.meta'), meta);
      const second = ours();
      const count = Number(await countOf(second));
      expect(count).toBeLessThan(FEW_ITEMS);
      await store(second);
      expect(await second.stop('SIGTERM')).toBe(0);
    }
    // A description without its end.
    writeFileSync(join(folder, 'memory'), memory);
    writeFileSync(join(folder, 'memory.meta'), meta.subarray(0, 150));
    const third = ours();
    expect(await countOf(third)).toBe('0');
    expect(third.messages).toContain('failed to validate metadata, starting with a clean cache');
  });

  it('is refused a file in no folder, and too little memory', TIMEOUT, async () => {
    const none = ours('-e', '/nonexistent/file', '-m', '10');
    expect(await none.stop('SIGCONT')).toBe(1);
    expect(none.messages).toContain('Error while preallocating slab memory!');
  });

  it.skipIf(requireReal('memcached') === null)(
    'takes what the original has left, and the original what we have left',
    TIMEOUT,
    async () => {
      const first = theirs();
      await store(first);
      const before = await sample(first);
      await first.stop('SIGUSR1');
      const second = ours();
      expectSame(await sample(second), before);
      await second.stop('SIGUSR1');
      // The original goes on only in a second after that of the stop.
      await new Promise((resolve) => setTimeout(resolve, 1_100));
      const third = theirs();
      expectSame(await sample(third), before);
    },
  );
});
