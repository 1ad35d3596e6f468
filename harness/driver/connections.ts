/**
 * The connections of one driver thread: opened a bounded number at a time, logged in, opened again when lost, given up after a bounded
 * number of attempts. They are numbered 0 to count - 1; the loop's slots stay in here.
 */
import type { EventLoop } from '../../engines/io/event-loop.ts';
import { errnoName } from '../../engines/io/system-error.ts';
import { type Codec, REPLY_ERROR, REPLY_FINE, REPLY_INCOMPLETE, textOf } from './codec.ts';
import type { Endpoint } from './load-plan.ts';

/** Open attempts under way at once: more would overflow a server's accept queue (511 is a usual length). */
export const CONNECTING_MAX = 128;
/** Attempts to open a connection (again) in a row before the target counts as gone, and the pause before each. */
export const CONNECT_ATTEMPTS_MAX = 6;
export const CONNECT_RETRY_MS = 100;
/** Connections lost during a load before it is given up. */
export const LOST_CONNECTIONS_MAX = 10_000;

const DOWN = 0;
const CONNECTING = 1;
const GREETING = 2;
const READY = 3;

/** What a driver is told of its connections. */
export interface ConnectionEvents {
  /** Logged in: may be used. */
  onReady(i: number): void;
  /** A connection that was ready is gone; it is opened again. */
  onLost(i: number, why: string): void;
  /** The target cannot be reached (any more): why, in a sentence. */
  onGone(why: string): void;
}

export class Connections {
  /** Connections that are ready. */
  readyCount = 0;
  /** What the server last said unasked, for messages. */
  lastWords = '';
  /** Loop slot of each connection, -1 while it is down. */
  readonly slot: Int32Array;
  private readonly loop: EventLoop;
  private readonly codec: Codec;
  private readonly endpoint: Endpoint;
  private readonly events: ConnectionEvents;
  private readonly greeting: { bytes: Uint8Array; replies: number } | null;
  private readonly state: Uint8Array;
  private readonly attempts: Uint8Array;
  private readonly retryAtUs: Float64Array;
  private readonly greetingsLeft: Uint8Array;
  private ofSlot = new Int32Array(1_024).fill(-1);
  private connectingCount = 0;
  private downCount: number;
  private nextToOpen = 0;
  private lost = 0;
  private everReady = false;

  constructor(count: number, loop: EventLoop, codec: Codec, endpoint: Endpoint, events: ConnectionEvents) {
    this.loop = loop;
    this.codec = codec;
    this.endpoint = endpoint;
    this.events = events;
    this.greeting = codec.handshake(endpoint);
    this.slot = new Int32Array(count).fill(-1);
    this.state = new Uint8Array(count);
    this.attempts = new Uint8Array(count);
    this.retryAtUs = new Float64Array(count);
    this.greetingsLeft = new Uint8Array(count);
    this.downCount = count;
  }

  get count(): number {
    return this.slot.length;
  }

  /** The connection behind a loop's slot. */
  at(conn: number): number {
    return this.ofSlot[conn]!;
  }

  isReady(i: number): boolean {
    return this.state[i] === READY;
  }

  /** Logging in: its input belongs to `greet`. */
  isGreeting(i: number): boolean {
    return this.state[i] === GREETING;
  }

  /** The server has answered on this connection: earlier failures are forgiven. */
  answered(i: number): void {
    this.attempts[i] = 0;
  }

  /** Opens what is down, as far as bounds allow. To be called again and again. */
  openSome(now: number): void {
    if (this.downCount === 0) return;
    // `nextToOpen` goes round, so that a long list of lost connections is not searched from the start each time.
    for (let looked = 0; looked < this.count && this.connectingCount < CONNECTING_MAX && this.downCount > 0; looked++) {
      const i = this.nextToOpen;
      this.nextToOpen = i + 1 === this.count ? 0 : i + 1;
      if (this.state[i] === DOWN && this.retryAtUs[i]! <= now) this.connect(i);
    }
  }

  private connect(i: number): void {
    const { address } = this.endpoint;
    let conn: number;
    try {
      conn =
        address.kind === 'unix'
          ? this.loop.connectUnix(address.path)
          : this.loop.connectTcp(address.host, address.port);
    } catch (error) {
      this.retry(i, (error as Error).message);
      return;
    }
    if (conn >= this.ofSlot.length) {
      const larger = new Int32Array(Math.max(conn + 1, 2 * this.ofSlot.length)).fill(-1);
      larger.set(this.ofSlot);
      this.ofSlot = larger;
    }
    this.ofSlot[conn] = i;
    this.slot[i] = conn;
    this.state[i] = CONNECTING;
    this.connectingCount++;
    this.downCount--;
  }

  /** An attempt failed or a connection was lost: another one follows, unless there were too many in a row. */
  private retry(i: number, why: string): void {
    this.retryAtUs[i] = this.loop.nowUs() + CONNECT_RETRY_MS * 1_000;
    if (++this.attempts[i]! < CONNECT_ATTEMPTS_MAX) return;
    const target = addressText(this.endpoint);
    const said = this.lastWords === '' ? '' : `; it last said "${this.lastWords}"`;
    const what = this.everReady ? `The target at ${target} is gone` : `Cannot connect to ${target}`;
    this.events.onGone(`${what}: ${CONNECT_ATTEMPTS_MAX} attempts in a row failed (${why})${said}`);
  }

  /** From the loop. */
  opened(conn: number): void {
    const i = this.ofSlot[conn]!;
    this.connectingCount--;
    if (this.greeting === null) {
      this.ready(i);
      return;
    }
    this.state[i] = GREETING;
    this.greetingsLeft[i] = this.greeting.replies;
    const at = this.loop.reserve(conn, this.greeting.bytes.length);
    this.loop.memory.u8.set(this.greeting.bytes, at);
    this.loop.commit(conn, at + this.greeting.bytes.length);
  }

  private ready(i: number): void {
    this.state[i] = READY;
    if (++this.readyCount === this.count) this.everReady = true;
    this.events.onReady(i);
  }

  /** Input while logging in. @returns the offset of the first byte not consumed */
  greet(i: number, start: number, end: number): number {
    const { codec } = this;
    const { u8 } = this.loop.memory;
    let at = start;
    while (at < end && this.greetingsLeft[i]! > 0) {
      const found = codec.parseHandshake(u8, at, end);
      if (found === REPLY_INCOMPLETE) return at;
      if (found !== REPLY_FINE) {
        const text = found === REPLY_ERROR ? textOf(u8, codec.textAt, codec.textBytes) : textOf(u8, at, end - at);
        this.events.onGone(`Cannot log in to ${addressText(this.endpoint)}: the server said "${text}"`);
        return end;
      }
      at = codec.nextAt;
      this.greetingsLeft[i]!--;
    }
    if (this.greetingsLeft[i] === 0) this.ready(i);
    return at;
  }

  /** Bytes that nobody asked for: a server says so why it turns us away. Closes the connection; @returns the text */
  unasked(conn: number, start: number, end: number): string {
    this.lastWords = textOf(this.loop.memory.u8, start, end - start).trim();
    this.loop.close(conn, false);
    return this.lastWords;
  }

  /** From the loop. @param reopen whether another attempt shall follow */
  closed(conn: number, reason: number, reopen: boolean): void {
    const i = this.ofSlot[conn]!;
    const state = this.state[i];
    const why = reason === 0 ? 'closed by the server' : errnoName(reason);
    this.ofSlot[conn] = -1;
    this.slot[i] = -1;
    this.state[i] = DOWN;
    this.downCount++;
    if (state === CONNECTING) this.connectingCount--;
    if (state === READY) {
      this.readyCount--;
      this.events.onLost(i, why);
      if (++this.lost > LOST_CONNECTIONS_MAX) {
        this.events.onGone(`${LOST_CONNECTIONS_MAX} connections were lost; the last: ${why}`);
      }
    }
    if (reopen) this.retry(i, why);
  }
}

/** Address for messages: without credentials. */
export function addressText(endpoint: Endpoint): string {
  const { address } = endpoint;
  return address.kind === 'unix' ? address.path : `${address.host}:${address.port}`;
}
