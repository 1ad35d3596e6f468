/**
 * A crash on purpose: some connections write keys of their own as fast as they are answered, the server is killed amid that, started
 * again, and asked for each write that it had acknowledged. `kill -9` ends the process, not the machine: what the kernel
 * was given survives, so a loss of power would cost more than is seen here.
 */
import net from 'node:net';
import { createRandom } from '../../engines/base/random.ts';
import type { PersistenceMode } from '../../scenarios/spec.ts';
import type { Endpoint } from '../driver/load-plan.ts';
import type { CrashResult } from '../result.ts';
import type { PersistentServer } from '../target/target.ts';
import { snapshotCommand } from './persistence-watch.ts';

const WRITERS = 8;
/** Writes of one connection on their way. */
const DEPTH = 4;
/** The server is killed after so long, and a random time up to `SPREAD_MS` more. */
const WRITING_MS = 1_200;
const SPREAD_MS = 800;
/** A snapshot or rewrite begins after so long, so that some crashes meet one under way and some come after it. */
const SNAPSHOT_MS = 800;
/** Beyond so many the harness would keep too much; the rest of the time nothing is written. */
const WRITES_MAX = 400_000;
const READ_BATCH = 500;
const PREFIX = 'crash:';
const OK = '+OK\r\n';

/** One connection that writes and remembers what was acknowledged. */
class Writer {
  readonly id: number;
  /** When each write was acknowledged, by number. */
  readonly acknowledgedAt: number[] = [];
  private readonly socket: net.Socket;
  private sent = 0;
  private rest = '';
  failure: string | null = null;

  constructor(id: number, { address, password }: Endpoint) {
    this.id = id;
    this.socket = address.kind === 'unix' ? net.connect(address.path) : net.connect(address.port, address.host);
    this.socket.setNoDelay(true);
    this.socket.setEncoding('latin1');
    this.socket.on('error', () => {});
    this.socket.on('data', (text: string) => this.receive(text));
    if (password !== null) {
      this.socket.write(`*2\r\n$4\r\nAUTH\r\n$${Buffer.byteLength(password)}\r\n${password}\r\n`);
      this.skip = 1;
    }
    this.send(DEPTH);
  }

  /** Replies that answer no write. */
  private skip = 0;

  private send(count: number): void {
    let text = '';
    for (let i = 0; i < count && this.sent < WRITES_MAX / WRITERS; i++) {
      const key = crashKey(this.id, this.sent);
      const value = String(this.sent++);
      text += `*3\r\n$3\r\nSET\r\n$${key.length}\r\n${key}\r\n$${value.length}\r\n${value}\r\n`;
    }
    if (text !== '') this.socket.write(text);
  }

  private receive(text: string): void {
    const now = performance.now();
    this.rest += text;
    let at = 0;
    let answered = 0;
    for (;;) {
      const end = this.rest.indexOf('\r\n', at);
      if (end < 0) break;
      if (this.rest.startsWith(OK, at)) {
        if (this.skip > 0) this.skip--;
        else {
          this.acknowledgedAt.push(now);
          answered++;
        }
      } else {
        // Refused writes would make the numbers of what follows wrong: this connection is done.
        this.failure ??= this.rest.slice(at, end);
        this.socket.destroy();
        return;
      }
      at = end + 2;
    }
    this.rest = this.rest.slice(at);
    this.send(answered);
  }

  close(): void {
    this.socket.destroy();
  }
}

const crashKey = (writer: number, number: number): string => `${PREFIX}${writer}:${number}`;

/** @throws Error when the server cannot be asked before the crash; what happens afterwards is in the result */
export async function crash(
  server: PersistentServer,
  endpoint: Endpoint,
  mode: PersistenceMode,
  seed: string,
): Promise<CrashResult> {
  const random = createRandom(`${seed}/crash`);
  const keysBefore = Number(await server.call('DBSIZE'));
  const writers = Array.from({ length: WRITERS }, (_, id) => new Writer(id, endpoint));
  await sleep(SNAPSHOT_MS);
  const command = snapshotCommand(mode, Math.floor(random.nextFloat() * 2));
  if (command !== null) await server.call(command).catch(() => {});
  await sleep(WRITING_MS - SNAPSHOT_MS + random.nextFloat() * SPREAD_MS);
  await server.kill();
  const killedAt = performance.now();
  for (const writer of writers) writer.close();
  const acknowledged = writers.reduce((sum, writer) => sum + writer.acknowledgedAt.length, 0);
  const result: CrashResult = {
    acknowledged,
    lost: null,
    oldestLostS: null,
    recoveryS: null,
    keysBefore,
    keysAfter: null,
    failure: writers.find((writer) => writer.failure !== null)?.failure ?? null,
  };
  try {
    result.recoveryS = await server.restart();
    result.keysAfter = Number(await server.call('DBSIZE'));
    await readBack(server, writers, killedAt, result);
  } catch (error) {
    result.failure = error instanceof Error ? error.message : String(error);
  }
  return result;
}

async function readBack(
  server: PersistentServer,
  writers: readonly Writer[],
  killedAt: number,
  result: CrashResult,
): Promise<void> {
  let lost = 0;
  let oldest = Number.POSITIVE_INFINITY;
  for (const { id, acknowledgedAt } of writers) {
    for (let from = 0; from < acknowledgedAt.length; from += READ_BATCH) {
      const count = Math.min(READ_BATCH, acknowledgedAt.length - from);
      const keys = Array.from({ length: count }, (_, i) => crashKey(id, from + i));
      const values = (await server.call('MGET', ...keys)) as unknown[];
      for (let i = 0; i < count; i++) {
        if (values[i] === String(from + i)) continue;
        lost++;
        oldest = Math.min(oldest, acknowledgedAt[from + i]!);
      }
    }
  }
  result.lost = lost;
  result.oldestLostS = lost === 0 ? null : (killedAt - oldest) / 1_000;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
