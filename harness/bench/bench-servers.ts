/** Servers for `bench:engines`: a real one and an engine side by side, and loading them with a known set of keys. */
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import net from 'node:net';
import { userInfo } from 'node:os';
import { fileURLToPath } from 'node:url';
import { entryUrl } from '../../engines/base/entry.ts';
import { findFreePort } from '../target/local-target.ts';
import type { KeptProcess, ServerKeeper } from '../target/server-keeper.ts';

const READY_TIMEOUT_MS = 15_000;
const MEMCACHED_MIB = 1_024;
/** Commands sent before their answers are awaited while loading. */
const LOAD_BATCH = 500;

export interface BenchServer {
  engine: 'redis' | 'memcached';
  process: KeptProcess;
  port: number;
  /** Stores keys "key:000000000000" … with values of `bytes` bytes; resolves when all were acknowledged. */
  load(keys: number, bytes: number): Promise<void>;
  /** One Redis command; its answer is waited for. */
  command(words: readonly string[]): Promise<void>;
  /** The same for commands that are answered by a single line or a bulk. @returns its text */
  ask(words: readonly string[]): Promise<string>;
  /** Overwrites each of these keys once with a value of `bytes` bytes, in this order; resolves when all were acknowledged. */
  overwrite(keys: readonly number[], bytes: number): Promise<void>;
  /** Where the server keeps its files. */
  folder: string;
}

/** How a pair of servers is started. */
export interface BenchStart {
  /** Flags of Node.js itself, for the engine. */
  nodeFlags?: readonly string[];
  /** Further flags of both servers. */
  flags?: readonly string[];
  /** Milliseconds that a server may take until it answers. */
  readyTimeoutMs?: number;
}

/** The name of a key that `load` stores. */
export function benchKey(index: number): string {
  return `key:${String(index).padStart(12, '0')}`;
}

/** Starts both servers on free loopback ports and waits until they answer. */
export async function startBenchServers(
  keeper: ServerKeeper,
  engine: 'redis' | 'memcached',
  options: BenchStart,
): Promise<{ real: BenchServer; ours: BenchServer }> {
  return {
    real: await startBenchServer(keeper, engine, 'real', options),
    ours: await startBenchServer(keeper, engine, 'ours', options),
  };
}

/** Starts one of the two. @param folder where its files lie; left out: a fresh one */
export async function startBenchServer(
  keeper: ServerKeeper,
  engine: 'redis' | 'memcached',
  which: 'real' | 'ours',
  options: BenchStart,
  folder?: string,
): Promise<BenchServer> {
  const main = fileURLToPath(entryUrl(import.meta.url, '../cli/main.ts'));
  const own = [process.execPath, ...(options.nodeFlags ?? []), main, 'serve', engine];
  const words = which === 'ours' ? own : [engine === 'redis' ? 'redis-server' : 'memcached'];
  const place = folder ?? keeper.path('data');
  mkdirSync(place, { recursive: true });
  return startOne(keeper, engine, words, options, place);
}

async function startOne(
  keeper: ServerKeeper,
  engine: 'redis' | 'memcached',
  words: string[],
  options: BenchStart,
  folder: string,
): Promise<BenchServer> {
  const port = await findFreePort();
  const flags =
    engine === 'redis'
      ? [
          '--port',
          String(port),
          '--bind',
          '127.0.0.1',
          '--save',
          '',
          '--appendonly',
          'no',
          '--enable-debug-command',
          'local',
          '--dir',
          folder,
        ]
      : [
          '-l',
          '127.0.0.1',
          '-p',
          String(port),
          '-U',
          '0',
          '-t',
          '1',
          '-m',
          String(MEMCACHED_MIB),
          '-c',
          '2048',
          '-u',
          userInfo().username,
        ];
  const kept = await keeper.spawn([...words, ...flags, ...(options.flags ?? [])], folder);
  const deadline = Date.now() + (options.readyTimeoutMs ?? READY_TIMEOUT_MS);
  for (;;) {
    if (kept.died() !== null) throw new Error(`Cannot start ${words[0]}: it ${kept.died()}; ${kept.logTail()}`);
    try {
      const talk = await Talk.open(port);
      talk.close();
      break;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  return {
    engine,
    process: kept,
    port,
    folder,
    load: async (keys, bytes) => {
      const value = 'x'.repeat(bytes);
      const talk = await Talk.open(port);
      try {
        for (let from = 0; from < keys; from += LOAD_BATCH) {
          const count = Math.min(LOAD_BATCH, keys - from);
          let text = '';
          for (let i = from; i < from + count; i++) {
            const key = benchKey(i);
            text += engine === 'redis' ? respCommand(['SET', key, value]) : `set ${key} 0 0 ${bytes}\r\n${value}\r\n`;
          }
          await talk.send(text, count, engine === 'redis' ? '+OK\r\n' : 'STORED\r\n');
        }
      } finally {
        talk.close();
      }
    },
    command: async (words) => {
      const talk = await Talk.open(port);
      await talk.ask(words);
      talk.close();
    },
    ask: async (words) => {
      const talk = await Talk.open(port);
      const text = await talk.ask(words);
      talk.close();
      if (/^-|^ERR /.test(text)) throw new Error(`${words.join(' ')} was answered by ${text}`);
      return text;
    },
    overwrite: async (keys, bytes) => {
      const value = 'y'.repeat(bytes);
      const talk = await Talk.open(port);
      for (let from = 0; from < keys.length; from += LOAD_BATCH) {
        const batch = keys.slice(from, from + LOAD_BATCH);
        const text = batch.map((index) => respCommand(['SET', benchKey(index), value])).join('');
        await talk.send(text, batch.length, '+OK\r\n');
      }
      talk.close();
    },
  };
}

/** One command in RESP; arguments are latin1 text. */
export function respCommand(words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`;
}

/** A plain connection for loading and asking; not for measuring. */
class Talk {
  private readonly socket: net.Socket;
  private received = '';
  /** Wakes whoever waits for more. */
  private changed: () => void = () => {};

  private constructor(socket: net.Socket) {
    this.socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      this.received += text;
      this.changed();
    });
    socket.on('error', () => {});
    socket.on('close', () => this.changed());
  }

  static async open(port: number): Promise<Talk> {
    const socket = net.connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return new Talk(socket);
  }

  private async until(done: () => boolean): Promise<void> {
    while (!done()) {
      if (this.socket.destroyed)
        throw new Error(`the server closed the connection after: ${this.received.slice(-200)}`);
      await new Promise<void>((resolve) => {
        this.changed = resolve;
      });
    }
  }

  /** Sends commands that are all answered by the same text. */
  async send(text: string, replies: number, reply: string): Promise<void> {
    this.received = '';
    this.socket.write(text, 'latin1');
    await this.until(() => this.received.length >= replies * reply.length);
    if (this.received !== reply.repeat(replies))
      throw new Error(`Cannot load: the server said ${this.received.slice(0, 200)}`);
  }

  /** One Redis command with a single-line or bulk answer; returns its text. */
  async ask(words: readonly string[]): Promise<string> {
    this.received = '';
    this.socket.write(respCommand(words), 'latin1');
    await this.until(() => {
      const eol = this.received.indexOf('\r\n');
      if (eol < 0) return false;
      if (this.received[0] !== '$' || this.received[1] === '-') return true;
      return this.received.length >= eol + 4 + Number(this.received.slice(1, eol));
    });
    const eol = this.received.indexOf('\r\n');
    return this.received[0] === '$' ? this.received.slice(eol + 2, -2) : this.received.slice(1, eol);
  }

  close(): void {
    this.socket.destroy();
  }
}

export interface StringRow {
  shape: string;
  real: string;
  ours: string;
  equal: boolean;
}

const SHAPES: { shape: string; args: (i: number) => string[] }[] = [
  ...[8, 44, 45, 100, 340, 1000, 4096, 20000].map((bytes) => ({
    shape: `${bytes} B`,
    args: (_: number) => ['x'.repeat(bytes)],
  })),
  { shape: 'integer', args: (i: number) => [String(1_000_000 + i)] },
  { shape: 'shared integer', args: (i: number) => [String(i % 10_000)] },
  { shape: '100 B with TTL', args: (_: number) => ['x'.repeat(100), 'EX', '100000'] },
];

/** Loads every string shape into a fresh pair of servers and compares growth and MEMORY USAGE. */
export async function stringRows(keeper: ServerKeeper, keys: number): Promise<StringRow[]> {
  const rows: StringRow[] = [];
  for (const { shape, args } of SHAPES) {
    const { real, ours } = await startBenchServers(keeper, 'redis', {});
    const figures: string[] = [];
    for (const server of [real, ours])
      figures.push(await growth(server, shape.startsWith('2000') ? Math.min(keys, 20_000) : keys, args));
    await real.process.stop();
    await ours.process.stop();
    rows.push({ shape, real: figures[0]!, ours: figures[1]!, equal: figures[0] === figures[1] });
  }
  return rows;
}

async function growth(server: BenchServer, keys: number, args: (i: number) => string[]): Promise<string> {
  const monitor = await Talk.open(server.port);
  // The first use of a command allocates its latency histogram: once each before the base is taken.
  for (const words of [
    ['SET', 'warm', 'x', 'EX', '100'],
    ['DEL', 'warm'],
    ['MEMORY', 'USAGE', 'none'],
  ])
    await monitor.ask(words);
  const before = await settledUsedMemory(monitor);
  const loader = await Talk.open(server.port);
  const batch = args(0)[0]!.length > 4_000 ? 50 : LOAD_BATCH;
  for (let from = 0; from < keys; from += batch) {
    let text = '';
    const count = Math.min(batch, keys - from);
    for (let i = from; i < from + count; i++) text += respCommand(['SET', benchKey(i), ...args(i)]);
    await loader.send(text, count, '+OK\r\n');
  }
  loader.close();
  const after = await settledUsedMemory(monitor);
  const usage = await monitor.ask(['MEMORY', 'USAGE', benchKey(1), 'SAMPLES', '0']);
  monitor.close();
  return `${after - before} bytes, ${usage} per key`;
}

/** used_memory once it has stayed the same for 1.5 s (tables finish rehashing, buffers shrink). */
async function settledUsedMemory(talk: Talk): Promise<number> {
  let last = -1;
  let since = Date.now();
  for (let waited = 0; waited < 300; waited++) {
    const used = Number(/used_memory:(\d+)/.exec(await talk.ask(['INFO', 'memory']))?.[1]);
    if (used !== last) {
      last = used;
      since = Date.now();
    } else if (Date.now() - since >= 1_500) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return last;
}
