/** A real memcached for tests: started on a Unix socket in a folder of its own, asked with raw bytes, stopped again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requireReal } from '../support/real.ts';

const START_TIMEOUT_MS = 20_000;
/** Where an answer is certain to come, on however busy a machine. */
const REPLY_MS = 15_000;
const SETTLE_TURNS = 8;

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
        await leave(await real.connect());
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

/**
 * Comes back when a server with one worker thread has done with all that this process has sent to it on any connection, and what it said is read:
 * the worker finds the first of these requests ready together with those or later, and the second one in a later turn. There are some more for what it
 * reads in pieces.
 * @param request is answered, with something that ends with `mark`, whatever has come before
 */
export async function settle(
  server: { connect(): Promise<RawConnection> },
  request: Buffer | string = 'version\r\n',
  mark: Buffer = Buffer.from('\r\n'),
): Promise<void> {
  const probe = await server.connect();
  for (let i = 0; i < SETTLE_TURNS; i++) await probe.ask(request, mark);
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
  probe.socket.destroy();
}

/** Ends a connection and comes back when the server has closed it too. */
export async function leave(connection: RawConnection): Promise<void> {
  const { socket } = connection;
  const gone = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.resume();
  socket.end();
  const hard = setTimeout(() => socket.destroy(), REPLY_MS);
  await gone;
  clearTimeout(hard);
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
    for (const event of ['end', 'close'] as const) {
      socket.on(event, () => {
        this.closed = true;
        this.#wake?.();
      });
    }
  }

  /**
   * Sends `bytes` and waits until the output ends with `mark`, the connection closes, or `timeoutMs` have passed.
   * @param atLeast bytes that are expected: a mark that arrives before them is one of the replies, not their end
   * @returns all output since the last call
   */
  async ask(bytes: Buffer | string, mark: Buffer, timeoutMs = REPLY_MS, atLeast = 0): Promise<Buffer> {
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
