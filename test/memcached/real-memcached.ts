/** A real memcached for tests: started on a Unix socket in a folder of its own, asked with raw bytes, stopped again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requireReal } from '../support/real.ts';

const START_TIMEOUT_MS = 5_000;

export class RealMemcached {
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly path: string;
  /** What it has written to its log. */
  log = '';

  private constructor(child: ChildProcess, folder: string, path: string) {
    this.#child = child;
    this.#folder = folder;
    this.path = path;
    child.stderr!.on('data', (data: Buffer) => {
      this.log += data.toString('latin1');
    });
  }

  static async start(args: string[] = []): Promise<RealMemcached> {
    const program = requireReal('memcached');
    if (program === null) throw new Error('memcached is not on PATH');
    const folder = mkdtempSync(join(tmpdir(), 'cachelab-mc-'));
    const path = join(folder, 'socket');
    const user = process.getuid?.() === 0 ? ['-u', 'root'] : [];
    const child = spawn(program, [...user, '-s', path, '-t', '1', ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const deadline = Date.now() + START_TIMEOUT_MS;
    const real = new RealMemcached(child, folder, path);
    for (;;) {
      try {
        (await real.connect()).socket.destroy();
        return real;
      } catch (error) {
        if (Date.now() > deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  connect(): Promise<RawConnection> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ path: this.path });
      socket.once('error', reject);
      socket.once('connect', () => resolve(new RawConnection(socket)));
    });
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGTERM');
    await ended;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Sends bytes, gathers what comes back. */
export class RawConnection {
  readonly socket: net.Socket;
  #chunks: Buffer[] = [];
  #wake: (() => void) | null = null;
  closed = false;

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on('error', () => {});
    socket.on('data', (data) => {
      this.#chunks.push(data);
      this.#wake?.();
    });
    socket.on('close', () => {
      this.closed = true;
      this.#wake?.();
    });
  }

  /**
   * Sends `bytes` and waits until the output ends with `mark`, the connection closes, or `timeoutMs` have passed.
   * @param atLeast bytes that are expected: a mark that arrives before them is one of the replies, not their end
   * @returns all output since the last call
   */
  async ask(bytes: Buffer | string, mark: Buffer, timeoutMs = 3_000, atLeast = 0): Promise<Buffer> {
    if (bytes.length > 0) this.socket.write(bytes);
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const all = Buffer.concat(this.#chunks);
      this.#chunks = [all];
      const ends = all.length >= Math.max(atLeast, mark.length) && all.subarray(all.length - mark.length).equals(mark);
      if (this.closed || ends) {
        this.#chunks = [];
        return all;
      }
      const left = deadline - Date.now();
      if (left <= 0) {
        this.#chunks = [];
        return all;
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = null;
    }
  }
}
