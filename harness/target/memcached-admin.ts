/** Questions to a Memcached-like server over the ASCII protocol, outside the measured traffic. */
import net from 'node:net';
import type { Endpoint } from '../driver/load-plan.ts';
import type { MemoryLedger } from '../result.ts';
import { memcachedLedger } from './memory-ledger.ts';
import { type Admin, describeAddress, TargetError, type TargetFacts } from './target.ts';

const COMMAND_TIMEOUT_MS = 30_000;
/** Keys asked for in one `get`; keeps the line far below the server's limit. */
const KEYS_PER_GET = 20;

/**
 * @param timeoutMs for the connection and the first answer
 * @throws TargetError when nobody answers, or it does not speak ASCII (SASL makes a server binary only)
 */
export async function connectMemcached(endpoint: Endpoint, timeoutMs: number): Promise<MemcachedAdmin> {
  const { address } = endpoint;
  const socket =
    address.kind === 'unix' ? net.connect({ path: address.path }) : net.connect(address.port, address.host);
  socket.setNoDelay(true);
  const admin = new MemcachedAdmin(socket, describeAddress(endpoint));
  try {
    const version = await admin.ask('version\r\n', (line) => line.startsWith('VERSION') || isError(line), timeoutMs);
    if (!version[0]?.startsWith('VERSION')) throw new TargetError(`it answered "${version[0]}" to version`);
    return admin;
  } catch (error) {
    admin.close();
    const why = error instanceof Error ? error.message : String(error);
    throw new TargetError(`Cannot reach ${describeAddress(endpoint)}: ${why}`, { cause: error });
  }
}

function isError(line: string): boolean {
  return line === 'ERROR' || line.startsWith('CLIENT_ERROR') || line.startsWith('SERVER_ERROR');
}

interface Waiter {
  lines: string[];
  isLast: (line: string) => boolean;
  resolve: (lines: string[]) => void;
  reject: (error: Error) => void;
}

export class MemcachedAdmin implements Admin {
  private readonly socket: net.Socket;
  private readonly name: string;
  private buffered = '';
  private readonly waiting: Waiter[] = [];
  private ended: Error | null = null;

  constructor(socket: net.Socket, name: string) {
    this.socket = socket;
    this.name = name;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => this.onText(text));
    socket.on('error', (error) => this.fail(error));
    socket.on('close', () => this.fail(new Error('the connection was closed')));
  }

  private onText(text: string): void {
    this.buffered += text;
    for (;;) {
      const end = this.buffered.indexOf('\r\n');
      if (end < 0) return;
      const line = this.buffered.slice(0, end);
      this.buffered = this.buffered.slice(end + 2);
      const waiter = this.waiting[0];
      if (waiter === undefined) continue;
      waiter.lines.push(line);
      if (waiter.isLast(line)) {
        this.waiting.shift();
        waiter.resolve(waiter.lines);
      }
    }
  }

  private fail(error: Error): void {
    this.ended ??= error;
    for (const waiter of this.waiting.splice(0)) waiter.reject(error);
  }

  /** Sends text and resolves with the lines up to the one that `isLast` accepts. */
  ask(text: string, isLast: (line: string) => boolean, timeoutMs = COMMAND_TIMEOUT_MS): Promise<string[]> {
    if (this.ended) return Promise.reject(this.ended);
    return new Promise<string[]>((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`no answer within ${timeoutMs} ms`));
        this.socket.destroy();
      }, timeoutMs);
      this.waiting.push({
        lines: [],
        isLast,
        resolve: (lines) => {
          clearTimeout(timer);
          resolve(lines);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
      this.socket.write(text, 'latin1');
    });
  }

  /** `stats [what]` as a table; empty where the server refuses it. */
  async stats(what = ''): Promise<Record<string, string>> {
    const lines = await this.ask(
      `stats${what === '' ? '' : ` ${what}`}\r\n`,
      (line) => line === 'END' || isError(line),
    );
    const fields: Record<string, string> = {};
    for (const line of lines) {
      const match = /^STAT (\S+) (.*)$/.exec(line);
      if (match) fields[match[1] as string] = match[2] as string;
    }
    return fields;
  }

  async facts(): Promise<TargetFacts> {
    const stats = await this.stats();
    const settings = await this.stats('settings');
    const items = stats['curr_items'];
    return {
      version: stats['version'] ?? null,
      configuration: settings,
      keysBefore: items === undefined ? null : Number(items),
    };
  }

  async memory(): Promise<MemoryLedger> {
    const stats = await this.stats();
    const slabs = await this.stats('slabs');
    const items = await this.stats('items');
    return memcachedLedger(stats, slabs, items);
  }

  async resetStats(): Promise<void> {
    await this.ask('stats reset\r\n', (line) => line === 'RESET' || isError(line));
  }

  async flushAll(): Promise<void> {
    await this.ask('flush_all\r\n', (line) => line === 'OK' || isError(line));
  }

  async deleteKeys(keys: readonly string[]): Promise<number> {
    if (keys.length === 0) return 0;
    let left = keys.length;
    const lines = await this.ask(keys.map((key) => `delete ${key}\r\n`).join(''), () => --left === 0);
    return lines.filter((line) => line === 'DELETED').length;
  }

  async countExisting(keys: readonly string[]): Promise<number> {
    let found = 0;
    for (let i = 0; i < keys.length; i += KEYS_PER_GET) {
      // `touch`ing would change them and `get` would fetch values; one short value per foreign key is the lesser evil.
      const lines = await this.ask(
        `get ${keys.slice(i, i + KEYS_PER_GET).join(' ')}\r\n`,
        (line) => line === 'END' || isError(line),
      );
      found += lines.filter((line) => line.startsWith('VALUE ')).length;
    }
    return found;
  }

  close(): void {
    this.socket.destroy();
  }

  toString(): string {
    return this.name;
  }
}
