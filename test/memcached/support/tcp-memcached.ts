/** A memcached on a TCP port, the real one or the engine as a process of its own: what is sent to one can be sent to the other. */
import { type ChildProcess, spawn } from 'node:child_process';
import net from 'node:net';
import { fileURLToPath } from 'node:url';
import { entryUrl } from '../../../engines/base/entry.ts';
import { freePort } from '../../support/ports.ts';
import { requireReal } from '../../support/real.ts';
import { leave, RawConnection } from '../real-memcached.ts';

const MAIN = fileURLToPath(entryUrl(import.meta.url, '../../../harness/cli/main.ts'));
const START_TIMEOUT_MS = 20_000;

export class TcpMemcached {
  readonly child: ChildProcess;
  readonly port: number;
  /** Where `connect` goes. */
  readonly #to: net.NetConnectOpts;
  /** What it has written to its log. */
  log = '';
  #isClosed = false;

  private constructor(child: ChildProcess, port: number, to: net.NetConnectOpts) {
    this.child = child;
    this.port = port;
    this.#to = to;
    child.once('close', () => {
      this.#isClosed = true;
    });
    child.stderr!.on('data', (data: Buffer) => {
      this.log += data.toString('latin1');
    });
  }

  /**
   * @param args as the original's; PORT among them stands for the TCP port; `-t` is 1 and `-l` 127.0.0.1 unless they are among them
   * @param host where it is to answer
   */
  static async start(kind: 'real' | 'engine', args: string[] = [], host = '127.0.0.1'): Promise<TcpMemcached> {
    const port = await freePort();
    const where = args.includes('-l') ? [] : ['-l', host];
    const words = args.map((arg) => (arg === 'PORT' ? String(port) : arg));
    return TcpMemcached.#launch(kind, [...where, '-p', String(port), ...words], port, { host, port });
  }

  /** On a Unix socket instead; `port` is 0. */
  static startUnix(kind: 'real' | 'engine', path: string, args: string[] = []): Promise<TcpMemcached> {
    return TcpMemcached.#launch(kind, ['-s', path, ...args], 0, { path });
  }

  static async #launch(
    kind: 'real' | 'engine',
    args: string[],
    port: number,
    to: net.NetConnectOpts,
  ): Promise<TcpMemcached> {
    const all = args.includes('-t') ? args : [...args, '-t', '1'];
    const user = process.getuid?.() === 0 ? ['-u', 'root'] : [];
    const [program, words] =
      kind === 'real'
        ? [requireReal('memcached')!, [...user, ...all]]
        : [process.execPath, [MAIN, 'serve', 'memcached', ...all]];
    const server = new TcpMemcached(spawn(program, words, { stdio: ['ignore', 'ignore', 'pipe'] }), port, to);
    const deadline = Date.now() + START_TIMEOUT_MS;
    for (;;) {
      try {
        await leave(await server.connect());
        return server;
      } catch {
        if (Date.now() > deadline || server.child.exitCode !== null) {
          await server.stop();
          throw new Error(`Cannot start ${kind}: ${server.log}`);
        }
        await new Promise((resolve) => setTimeout(resolve, 30));
      }
    }
  }

  connect(): Promise<RawConnection> {
    return new Promise((resolve, reject) => {
      const socket = net.connect(this.#to);
      socket.once('error', reject);
      socket.once('connect', () => resolve(new RawConnection(socket)));
    });
  }

  /** Waits until the process has ended and its log is all read. @returns its exit code, or the signal that ended it */
  async ended(timeoutMs = 20_000): Promise<number | string> {
    const { child } = this;
    if (!this.#isClosed) {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error('the server does not end')), timeoutMs);
        child.once('close', () => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
    return child.exitCode ?? child.signalCode!;
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | string> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill(signal);
    return this.ended();
  }
}
