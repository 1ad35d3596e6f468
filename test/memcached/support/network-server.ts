/** A memcached, the real one or the engine's, as a process that listens on a port of 127.0.0.1; and what talks to it by UDP. */
import { type ChildProcess, spawn } from 'node:child_process';
import dgram from 'node:dgram';
import net from 'node:net';
import { fileURLToPath } from 'node:url';
import { entryUrl } from '../../../engines/base/entry.ts';
import { freePort } from '../../support/ports.ts';
import { requireReal } from '../../support/real.ts';
import { leave, RawConnection } from '../real-memcached.ts';

const MAIN = fileURLToPath(entryUrl(import.meta.url, '../../../harness/cli/main.ts'));
const START_TIMEOUT_MS = 20_000;
/** Numbers of requests by UDP that nobody else makes. */
const FIRST_PROBE = 0xf000;
const PROBES = 0xf00;
const LAST_ATTEMPT = 0xfffd;

export class NetworkServer {
  readonly child: ChildProcess;
  readonly port: number;
  readonly exited: Promise<number | null>;
  /** What it has written to its standard error output. */
  errors = '';

  private constructor(child: ChildProcess, port: number) {
    this.child = child;
    this.port = port;
    child.stderr!.on('data', (data: Buffer) => {
      this.errors += data.toString('latin1');
    });
    // With all that it has written.
    this.exited = new Promise((resolve) => child.once('close', resolve));
  }

  /** Starts the process without waiting for more. @param args PORT stands for the number of its port */
  static async spawn(which: 'real' | 'mine', args: string[], env: Record<string, string> = {}): Promise<NetworkServer> {
    const port = await freePort();
    const all = ['-p', 'PORT', ...args].map((arg) => arg.replace('PORT', String(port)));
    if (!all.includes('-t')) all.push('-t', '1');
    const options = {
      stdio: ['ignore', 'ignore', 'pipe'] as ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...env },
    };
    if (which === 'mine') {
      return new NetworkServer(spawn(process.execPath, [MAIN, 'serve', 'memcached', ...all], options), port);
    }
    const program = requireReal('memcached');
    if (program === null) throw new Error('memcached is not on PATH');
    const user = process.getuid?.() === 0 ? ['-u', 'root'] : [];
    return new NetworkServer(spawn(program, [...user, '-l', '127.0.0.1', ...all], options), port);
  }

  /** Starts it and waits until it takes connections. */
  static async start(which: 'real' | 'mine', args: string[], env: Record<string, string> = {}): Promise<NetworkServer> {
    const server = await NetworkServer.spawn(which, args, env);
    const deadline = Date.now() + START_TIMEOUT_MS;
    for (;;) {
      try {
        await leave(await server.connect());
        return server;
      } catch {
        if (Date.now() > deadline || server.child.exitCode !== null) {
          await server.stop();
          throw new Error(`Cannot start ${which} memcached ${args.join(' ')}: ${server.errors}`);
        }
        await new Promise((resolve) => setTimeout(resolve, 30));
      }
    }
  }

  connect(): Promise<RawConnection> {
    return new Promise((resolve, reject) => {
      const socket = net.connect(this.port, '127.0.0.1');
      socket.once('error', reject);
      socket.once('connect', () => resolve(new RawConnection(socket)));
    });
  }

  async stop(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGTERM');
    await this.exited;
  }
}

/** Sends datagrams and gathers what comes back. */
export class UdpClient {
  readonly #socket = dgram.createSocket({ type: 'udp4', recvBufferSize: 4 * 1024 * 1024 });
  readonly #port: number;
  #got: Buffer[] = [];
  #probes = 0;

  constructor(port: number) {
    this.#port = port;
    this.#socket.on('message', (bytes) => this.#got.push(bytes));
  }

  send(bytes: Uint8Array): void {
    this.#socket.send(bytes, this.#port, '127.0.0.1');
  }

  /**
   * Sends a datagram and then `last`, a request whose answer ends with `mark`; waits for that answer.
   * @returns what came before it
   */
  async ask(bytes: Uint8Array, last: Uint8Array, mark: Buffer, timeoutMs = 15_000): Promise<Buffer[]> {
    const deadline = Date.now() + timeoutMs;
    this.send(bytes);
    // Twice, each with a number of its own: a busy machine may deliver datagrams in another order, by a little.
    for (let i = 0; i < 2; i++) {
      const number = FIRST_PROBE + (this.#probes++ % PROBES);
      const [probe, answer] = [Buffer.from(last), Buffer.from(mark)];
      for (const one of [probe, answer]) one.writeUInt16BE(number, 0);
      this.send(probe);
      while (!this.#got.some((one) => one.equals(answer))) {
        if (Date.now() > deadline)
          throw new Error(`no answer to ${Buffer.from(bytes).toString('latin1').slice(0, 60)}`);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    }
    return this.#got.splice(0).filter((one) => one.readUInt16BE(0) < FIRST_PROBE);
  }

  /**
   * Gathers answers of many datagrams until the last datagram of each of so many has come.
   * @param enough told how many answers have ended
   * @returns what each request was answered, its datagrams in their order, by request id
   */
  async gather(enough: (ended: number) => boolean, timeoutMs = 15_000): Promise<Map<number, string>> {
    const answers = new Map<number, string>();
    const deadline = Date.now() + timeoutMs;
    for (let ended = 0; !enough(ended); ) {
      if (Date.now() > deadline) throw new Error(`only ${ended} requests were answered`);
      await new Promise((resolve) => setTimeout(resolve, 1));
      for (const bytes of this.#got.splice(0)) {
        const id = bytes.readUInt16BE(0);
        const text = bytes.toString('latin1', 8);
        answers.set(id, (answers.get(id) ?? '') + text);
        if (text.endsWith('END\r\n')) ended++;
      }
    }
    return answers;
  }

  /** Waits until requests are answered: a server takes connections a little before datagrams. */
  async ready(request: Uint8Array): Promise<this> {
    const deadline = Date.now() + START_TIMEOUT_MS;
    while (this.#got.length === 0) {
      if (Date.now() > deadline) throw new Error(`port ${this.#port} does not answer by UDP`);
      this.send(request);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    // Answers to further attempts come before that to a last one, which is told by its number.
    const last = Buffer.from(request);
    last.writeUInt16BE(LAST_ATTEMPT, 0);
    this.send(last);
    while (this.#got.at(-1)!.readUInt16BE(0) !== LAST_ATTEMPT) {
      if (Date.now() > deadline) throw new Error(`port ${this.#port} does not answer by UDP any more`);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    // Other threads may answer later than the one that had the last.
    await new Promise((resolve) => setTimeout(resolve, 20));
    this.#got = [];
    return this;
  }

  close(): void {
    this.#socket.close();
  }
}
