/** The engine as a process of its own, on a Unix socket in a folder of its own; stopped again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { entryUrl } from '../../../engines/base/entry.ts';
import { leave, RawConnection } from '../real-memcached.ts';

const MAIN = fileURLToPath(entryUrl(import.meta.url, '../../../harness/cli/main.ts'));
const START_TIMEOUT_MS = 20_000;

export class ServedMemcached {
  readonly child: ChildProcess;
  readonly path: string;
  readonly #folder: string;
  #errors = '';

  private constructor(args: string[]) {
    this.#folder = mkdtempSync(join(tmpdir(), 'cachelab-mc-'));
    this.path = join(this.#folder, 'socket');
    this.child = spawn(process.execPath, [MAIN, 'serve', 'memcached', '-s', this.path, ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.child.stderr!.on('data', (data: Buffer) => {
      this.#errors += data.toString();
    });
  }

  /** @param args as the original's, with a number of threads among them or 1 */
  static async start(args: string[] = []): Promise<ServedMemcached> {
    const served = new ServedMemcached(args.includes('-t') ? args : ['-t', '1', ...args]);
    const deadline = Date.now() + START_TIMEOUT_MS;
    for (;;) {
      try {
        await leave(await served.connect());
        return served;
      } catch {
        if (Date.now() > deadline || served.child.exitCode !== null) {
          await served.stop();
          throw new Error(`Cannot start the engine: ${served.#errors}`);
        }
        await new Promise((resolve) => setTimeout(resolve, 30));
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

  /** @returns what it has written to standard error */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<string> {
    await this.stop(signal);
    return this.#errors;
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const ended = new Promise((resolve) => this.child.once('close', resolve));
      this.child.kill(signal);
      await ended;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
