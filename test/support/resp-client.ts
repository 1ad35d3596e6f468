/** A minimal RESP client for tests: requests in order, replies as plain values. Not for load. */
import net from 'node:net';

/** An error reply, kept apart from simple strings. */
export class RespError {
  readonly message: string;
  constructor(message: string) {
    this.message = message;
  }
}

/** Bulk and simple strings come as latin1 strings (each char one byte); maps as Map, sets as Set, pushes as {push: […]}. */
export type RespValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | RespError
  | RespValue[]
  | Map<RespValue, RespValue>
  | Set<RespValue>
  | { push: RespValue[] }
  | { double: string };

/** Encodes one command; strings are taken as latin1. */
export function encodeCommand(args: readonly (string | number | Uint8Array)[]): Buffer {
  const parts: Buffer[] = [Buffer.from(`*${args.length}\r\n`, 'latin1')];
  for (const arg of args) {
    const bytes = arg instanceof Uint8Array ? Buffer.from(arg) : Buffer.from(String(arg), 'latin1');
    parts.push(Buffer.from(`$${bytes.length}\r\n`, 'latin1'), bytes, Buffer.from('\r\n', 'latin1'));
  }
  return Buffer.concat(parts);
}

/** Parses one reply at `at`; null when incomplete. */
export function parseReply(bytes: Buffer, at: number): { value: RespValue; next: number } | null {
  const eol = bytes.indexOf('\r\n', at, 'latin1');
  if (eol < 0) return null;
  const line = bytes.toString('latin1', at + 1, eol);
  const next = eol + 2;
  const many = (count: number): { value: RespValue[]; next: number } | null => {
    const values: RespValue[] = [];
    let position = next;
    for (let i = 0; i < count; i++) {
      const one = parseReply(bytes, position);
      if (one === null) return null;
      values.push(one.value);
      position = one.next;
    }
    return { value: values, next: position };
  };
  switch (String.fromCharCode(bytes[at]!)) {
    case '+':
      return { value: line, next };
    case '-':
      return { value: new RespError(line), next };
    case ':':
      return { value: Number.isSafeInteger(Number(line)) ? Number(line) : BigInt(line), next };
    case '(':
      return { value: BigInt(line), next };
    case '#':
      return { value: line === 't', next };
    case ',':
      return { value: { double: line }, next };
    case '_':
      return { value: null, next };
    case '$':
    case '=':
    case '!': {
      const length = Number(line);
      if (length < 0) return { value: null, next };
      if (bytes.length < next + length + 2) return null;
      const text = bytes.toString('latin1', next, next + length);
      return { value: bytes[at] === 33 ? new RespError(text) : text, next: next + length + 2 };
    }
    case '*':
      return Number(line) < 0 ? { value: null, next } : many(Number(line));
    case '~': {
      const all = many(Number(line));
      return all && { value: new Set(all.value), next: all.next };
    }
    case '>': {
      const all = many(Number(line));
      return all && { value: { push: all.value }, next: all.next };
    }
    case '%': {
      const all = many(Number(line) * 2);
      if (all === null) return null;
      const map = new Map<RespValue, RespValue>();
      for (let i = 0; i < all.value.length; i += 2) map.set(all.value[i]!, all.value[i + 1]!);
      return { value: map, next: all.next };
    }
    default:
      throw new Error(`Cannot parse reply: unknown type byte ${bytes[at]} at ${at}`);
  }
}

/** One connection. `connect({ port })` or `connect({ path })`. */
export class RespClient {
  readonly socket: net.Socket;
  private buffered = Buffer.alloc(0);
  private readonly waiting: ((value: RespValue) => void)[] = [];
  /** Replies and pushes that nobody waited for, in order. */
  readonly unasked: RespValue[] = [];
  /** Resolves when the connection has closed. */
  readonly closed: Promise<void>;

  private constructor(socket: net.Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('error', () => {});
    socket.on('data', (data) => {
      this.buffered = this.buffered.length > 0 ? Buffer.concat([this.buffered, data]) : data;
      let at = 0;
      while (at < this.buffered.length) {
        const one = parseReply(this.buffered, at);
        if (one === null) break;
        at = one.next;
        const isPush = typeof one.value === 'object' && one.value !== null && Object.hasOwn(one.value, 'push');
        const waiter = isPush ? undefined : this.waiting.shift();
        if (waiter) waiter(one.value);
        else this.unasked.push(one.value);
      }
      this.buffered = this.buffered.subarray(at);
    });
    socket.once('close', () => {
      for (const waiter of this.waiting.splice(0)) waiter(new RespError('(connection closed)'));
    });
  }

  static connect(to: { port: number; host?: string } | { path: string }): Promise<RespClient> {
    return new Promise((resolve, reject) => {
      const socket = net.connect('path' in to ? { path: to.path } : { port: to.port, host: to.host ?? '127.0.0.1' });
      socket.setNoDelay(true);
      socket.once('error', reject);
      socket.once('connect', () => resolve(new RespClient(socket)));
    });
  }

  /** Sends one command and resolves with its reply (errors are RespError values, not rejections). */
  command(...args: (string | number | Uint8Array)[]): Promise<RespValue> {
    return this.raw(encodeCommand(args), 1).then((values) => values[0]!);
  }

  /** Sends bytes as they are and resolves after `replies` replies. */
  raw(bytes: Uint8Array, replies: number): Promise<RespValue[]> {
    const all: Promise<RespValue>[] = [];
    for (let i = 0; i < replies; i++) all.push(new Promise((resolve) => this.waiting.push(resolve)));
    this.socket.write(bytes);
    return Promise.all(all);
  }

  close(): Promise<void> {
    this.socket.end();
    const hard = setTimeout(() => this.socket.destroy(), 1_000);
    return this.closed.finally(() => clearTimeout(hard));
  }
}

/**
 * Comes back when the server has done with all that this process has sent to it on any connection, and what it said is read. A server on one thread
 * finds `probe`'s first request ready together with those or later, and its second one in a later turn.
 * @param turns of the server's loop: two, and one more for each 16 KiB that it may have to read
 */
export async function settle(probe: RespClient, turns = 2): Promise<void> {
  for (let i = 0; i < turns; i++) await probe.command('PING');
  // Their answers were in the sockets before the probe's was: they are read in the same turn of this process's loop, or in the next one.
  for (let i = 0; i < 2; i++) await new Promise((resolve) => setImmediate(resolve));
}
