/** Servers as processes and connections that misbehave: for tests of bad input. */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemAvailable } from '../../engines/io/system.ts';
import { findProgram } from '../../harness/target/find-program.ts';
import { freePort } from './ports.ts';
import { realRequired } from './real.ts';
import { sleep, until } from './wait.ts';

export const MIB = 1_048_576;
const START_ATTEMPTS = 3;
const cli = fileURLToPath(new URL('../../dist/harness/cli/main.js', import.meta.url));

/** A server process under attack. */
export class Victim {
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(port: number, child: ChildProcess, folder: string) {
    this.port = port;
    this.#child = child;
    this.#folder = folder;
  }

  /** @param command program and arguments, given a free port */
  static async start(command: (port: number) => string[]): Promise<Victim> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await Victim.#startOnce(command);
      } catch (error) {
        // Between the choice of a free port and its use, an outgoing connection of anybody may have taken it.
        if (attempt === START_ATTEMPTS) throw error;
      }
    }
  }

  static async #startOnce(command: (port: number) => string[]): Promise<Victim> {
    const port = await freePort();
    const folder = mkdtempSync(join(tmpdir(), 'cachelab-hostile-'));
    const [program, ...args] = command(port);
    const child = spawn(program!, args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
    let errors = '';
    child.stderr!.on('data', (bytes) => {
      errors = (errors + bytes).slice(-4_000);
    });
    const victim = new Victim(port, child, folder);
    try {
      await until(
        `${command(port).join(' ')} listens`,
        async () => {
          if (!victim.alive) throw new Error(`${program} ended at once: ${errors}`);
          return accepts(port);
        },
        15_000,
      );
    } catch (error) {
      await victim.stop();
      throw error;
    }
    return victim;
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Physical memory of the process in bytes. */
  rssBytes(): number {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
  }

  async stop(): Promise<void> {
    if (this.alive) {
      const ended = new Promise((resolve) => this.#child.once('exit', resolve));
      this.#child.kill('SIGTERM');
      const hard = setTimeout(() => this.#child.kill('SIGKILL'), 3_000);
      await ended;
      clearTimeout(hard);
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

async function accepts(port: number): Promise<boolean> {
  const socket = net.connect(port, '127.0.0.1');
  return new Promise((resolve) => {
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

const peers = new Set<Peer>();

/** Ends what a test has left open, also when it failed. */
export function destroyPeers(except: Peer | null): void {
  for (const peer of peers) if (peer !== except) peer.destroy();
}

/** A connection that sends what it is told and keeps all that comes. */
export class Peer {
  readonly socket: net.Socket;
  /** The server has closed the connection, or reset it. */
  closed = false;
  #chunks: Buffer[] = [];
  #keeps = true;
  /** Bytes received so far. */
  length = 0;

  private constructor(socket: net.Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    peers.add(this);
    socket.on('data', (bytes) => {
      if (this.#keeps) this.#chunks.push(bytes);
      this.length += bytes.length;
    });
    socket.on('error', () => {});
    socket.on('end', () => {
      this.closed = true;
    });
    socket.on('close', () => {
      peers.delete(this);
      this.closed = true;
    });
  }

  static connect(port: number): Promise<Peer> {
    // The two directions close apart, so that a test can end its own and still read.
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const peer = new Peer(socket);
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.once('connect', () => resolve(peer));
    });
  }

  /** From here on only `length` is kept, not what was received. */
  countOnly(): void {
    this.#keeps = false;
  }

  /** Everything received, one character a byte. */
  text(): string {
    const all = Buffer.concat(this.#chunks);
    this.#chunks = [all];
    return all.toString('latin1');
  }

  /** @returns when the system has taken the bytes, or the connection has broken */
  write(bytes: Buffer | string): Promise<void> {
    return new Promise((resolve) => {
      this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes, () => resolve());
    });
  }

  /** Asks, and waits for as many bytes of answer. */
  async ask(request: string, answer: string): Promise<void> {
    const from = this.length;
    await this.write(request);
    await until(`${JSON.stringify(request)} is answered`, () => this.length >= from + answer.length || this.closed);
    const got = this.text().slice(from);
    if (got !== answer) throw new Error(`${JSON.stringify(request)} was answered ${JSON.stringify(got)}`);
  }

  /** Shuts down the writing side. */
  half(): void {
    this.socket.end();
  }

  reset(): Promise<void> {
    const gone = new Promise<void>((resolve) => this.socket.once('close', () => resolve()));
    this.socket.resetAndDestroy();
    return gone;
  }

  destroy(): void {
    this.socket.destroy();
  }
}

/** What a hostile client does: bytes in one write each, or the end of its writing side. */
export type Step = string | Buffer | { half: true };
export const HALF: Step = { half: true };

/** One misuse and what the original does about it. */
export interface Misuse {
  title: string;
  send: Step[];
  /** The whole reply, one character a byte. */
  reply: string;
  /** Whether the server then closes the connection. */
  closed?: boolean;
}

/**
 * Plays a misuse on a connection of its own.
 * @param barrier resolves when the server has served another client
 * @returns reply and end, once they are as expected or a while has passed
 */
export async function play(
  port: number,
  misuse: Misuse,
  barrier: () => Promise<void>,
): Promise<{ reply: string; closed: boolean }> {
  const closed = misuse.closed ?? false;
  const peer = await Peer.connect(port);
  for (const step of misuse.send) {
    if (typeof step === 'object' && 'half' in step) peer.half();
    else await Promise.race([peer.write(step as Buffer | string), sleep(2_000)]);
    if (misuse.send.length > 1) await barrier();
  }
  const asExpected = (): boolean => peer.length >= misuse.reply.length && peer.closed === closed;
  await until('', asExpected, 10_000).catch(() => {});
  await barrier();
  await barrier();
  await sleep(5);
  const outcome = { reply: shorten(peer.text()), closed: peer.closed };
  peer.destroy();
  return outcome;
}

/** Long texts are compared by length, beginning and end: a difference in them stays readable. */
export function shorten(text: string): string {
  return text.length <= 2_000 ? text : `${text.slice(0, 500)}…(${text.length})…${text.slice(-500)}`;
}

/** A server to be attacked, by title; `real` ones are held against the same expectations as ours. */
export interface Subject {
  title: string;
  real: boolean;
  command: (port: number) => string[];
}

/**
 * The embedded engine over each loop that can be had here, and the original.
 * @param embedded arguments of `cachelab`
 * @param original arguments of the original, run only where it is there
 */
export function subjects(
  program: 'redis-server' | 'memcached',
  embedded: (port: number) => string[],
  original: (port: number) => string[],
): Subject[] {
  if (!existsSync(cli)) throw new Error('Cannot start a server: dist/ is missing. Run `npm run build` first.');
  const loops = systemAvailable() ? ['epoll', 'libuv'] : ['libuv'];
  const list: Subject[] = loops.map((loop) => ({
    title: `the embedded engine over ${loop}`,
    real: false,
    command: (port) => [process.execPath, cli, 'serve', ...embedded(port), '--event-loop', loop],
  }));
  const path = findProgram(program);
  if (path !== null) list.push({ title: program, real: true, command: (port) => [path, ...original(port)] });
  else if (realRequired) throw new Error(`${program} is not on PATH, and CI=true makes it mandatory: install it`);
  else console.warn(`${program} is not on PATH: its replies to bad input are taken from the test's own table.`);
  return list;
}
