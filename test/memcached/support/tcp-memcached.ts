/** A memcached on a TCP port, the real one or the engine as a process of its own: what is sent to one can be sent to the other. */
import { type ChildProcess, spawn } from 'node:child_process';
import net from 'node:net';
import { fileURLToPath } from 'node:url';
import { entryUrl } from '../../../engines/base/entry.ts';
import { requireReal } from '../../support/real.ts';
import { RawConnection } from '../real-memcached.ts';

const MAIN = fileURLToPath(entryUrl(import.meta.url, '../../../harness/cli/main.ts'));
const START_TIMEOUT_MS = 20_000;

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export class TcpMemcached {
  readonly child: ChildProcess;
  readonly port: number;
  /** What it has written to its log. */
  log = '';

  private constructor(child: ChildProcess, port: number) {
    this.child = child;
    this.port = port;
    child.stderr!.on('data', (data: Buffer) => {
      this.log += data.toString('latin1');
    });
  }

  /** @param args as the original's; PORT among them stands for the TCP port, and `-t` is 1 unless it is among them */
  static async start(kind: 'real' | 'engine', args: string[] = []): Promise<TcpMemcached> {
    const port = await freePort();
    const threads = args.includes('-t') ? [] : ['-t', '1'];
    const all = [
      '-l',
      '127.0.0.1',
      '-p',
      String(port),
      ...threads,
      ...args.map((arg) => (arg === 'PORT' ? String(port) : arg)),
    ];
    const user = process.getuid?.() === 0 ? ['-u', 'root'] : [];
    const [program, words] =
      kind === 'real'
        ? [requireReal('memcached')!, [...user, ...all]]
        : [process.execPath, [MAIN, 'serve', 'memcached', ...all]];
    const server = new TcpMemcached(spawn(program, words, { stdio: ['ignore', 'ignore', 'pipe'] }), port);
    const deadline = Date.now() + START_TIMEOUT_MS;
    for (;;) {
      try {
        (await server.connect()).socket.destroy();
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
      const socket = net.connect({ host: '127.0.0.1', port: this.port });
      socket.once('error', reject);
      socket.once('connect', () => resolve(new RawConnection(socket)));
    });
  }

  /** Waits until the process has ended. @returns its exit code, or the signal that ended it */
  async ended(timeoutMs = 10_000): Promise<number | string> {
    const { child } = this;
    if (child.exitCode === null && child.signalCode === null) {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error('the server does not end')), timeoutMs);
        child.once('exit', () => {
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
