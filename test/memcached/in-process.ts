/**
 * A core without sockets: bytes in, bytes out, all in one call. Its transport sends at once and releases what was lent
 * when the output is taken, so that a test sees every byte and every lease.
 */
import { Unconnected } from '../../engines/base/unconnected.ts';
import { Core, type CoreHooks } from '../../engines/memcached/core.ts';
import { defaultSettings, type Settings } from '../../engines/memcached/settings.ts';
import type { Placement } from '../../engines/memcached/shared-block.ts';
import { createArena } from '../../engines/memory/arena.ts';
import type { Clock, Memory, Transport } from '../../engines/ports.ts';

const PAGE_BYTES = 4_096;
const INPUT_BYTES = 4 * 1024 * 1024;
const OUTPUT_BYTES = 4 * 1024 * 1024;

/** A clock that stands still until it is told to go on. */
export class TestClock implements Clock {
  ms: number;

  constructor(ms: number) {
    this.ms = ms;
  }

  wallMs(): number {
    return this.ms;
  }
  monoUs(): number {
    return this.ms * 1000;
  }
}

interface Peer {
  fd: number;
  pending: Buffer;
  out: Buffer[];
  directAt: number;
  directLeft: number;
  paused: boolean;
  closed: boolean;
  /** Output is kept back, as by a peer that does not read. */
  stalled: boolean;
  leases: number[];
  waiting: number;
}

export class InProcess extends Unconnected implements Transport {
  readonly memory: Memory;
  readonly core: Core;
  readonly clock: TestClock;
  readonly #inputAt: number;
  readonly #outputAt: number;
  readonly #peers: Peer[] = [];
  #hasYielded = false;
  /** What the core has written to the log, and the shutdowns that it was asked for. */
  readonly logLines: string[] = [];
  readonly shutdowns: string[] = [];
  /** Leases given back so far. */
  released = 0;
  lent = 0;

  /**
   * @param startMs what the clock shows at the start, ms since the Unix epoch
   * @param thread for a core that is one of several over one arena
   */
  constructor(
    settings: Partial<Settings> = {},
    arenaBytes = 512 * 1024 * 1024,
    startMs = 1_800_000_000_000,
    thread: { memory?: Memory; placement?: Placement; handOver?: CoreHooks['handOver'] } = {},
  ) {
    super();
    this.clock = new TestClock(startMs);
    this.memory = thread.memory ?? createArena({ byteLength: arenaBytes });
    this.#inputAt = this.memory.takePages(INPUT_BYTES / PAGE_BYTES);
    this.#outputAt = this.memory.takePages(OUTPUT_BYTES / PAGE_BYTES);
    this.core = new Core(
      this.memory,
      this.clock,
      { ...defaultSettings(), ...settings },
      {
        log: (line) => this.logLines.push(line),
        onShutdown: (kind) => this.shutdowns.push(kind),
        usage: () => ({ pid: 1, userSeconds: 0, systemSeconds: 0 }),
        ...(thread.handOver === undefined ? {} : { handOver: thread.handOver }),
      },
      thread.placement,
    );
    this.core.setTransport(this);
  }

  /** @param fd its descriptor, by default one that tells the slot */
  open(fd = 20 + this.#peers.length): number {
    this.#peers.push({
      fd,
      pending: Buffer.alloc(0),
      out: [],
      directAt: 0,
      directLeft: 0,
      paused: false,
      closed: false,
      stalled: false,
      leases: [],
      waiting: 0,
    });
    this.core.onOpen(this.#peers.length - 1, 0);
    return this.#peers.length - 1;
  }

  isClosed(conn: number): boolean {
    return this.#peers[conn]!.closed;
  }

  isPaused(conn: number): boolean {
    return this.#peers[conn]!.paused;
  }

  stall(conn: number): void {
    this.#peers[conn]!.stalled = true;
  }

  /** The peer reads again. */
  drain(conn: number): void {
    const peer = this.#peers[conn]!;
    peer.stalled = false;
    for (let left = -1; left !== peer.pending.length; ) {
      left = peer.pending.length;
      this.#sent(peer);
      this.core.onTurn();
      this.feed(conn, Buffer.alloc(0));
    }
  }

  /** Seconds pass. */
  advance(seconds: number): void {
    this.clock.ms += seconds * 1000;
    this.core.tick();
  }

  /** Lets the background work come to its end. */
  settle(): void {
    for (let i = 0; i < 10_000 && this.core.background.runAll() < 5; i++) {
      // Each slice does a little.
    }
  }

  /** Sends bytes in one piece. @returns all output since the last call */
  send(conn: number, bytes: Buffer | string): string {
    this.feed(conn, typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
    return this.take(conn).toString('latin1');
  }

  take(conn: number): Buffer {
    const peer = this.#peers[conn]!;
    const all = Buffer.concat(peer.out);
    peer.out = [];
    return all;
  }

  /** Bytes arrive. */
  feed(conn: number, bytes: Buffer): void {
    const peer = this.#peers[conn]!;
    let rest = peer.pending.length > 0 ? Buffer.concat([peer.pending, bytes]) : bytes;
    peer.pending = Buffer.alloc(0);
    while (rest.length > 0 && !peer.closed && !peer.paused) {
      if (peer.directLeft > 0) {
        const length = Math.min(rest.length, peer.directLeft);
        this.memory.u8.set(rest.subarray(0, length), peer.directAt);
        peer.directAt += length;
        peer.directLeft -= length;
        rest = rest.subarray(length);
        if (peer.directLeft === 0) this.core.onDirect(conn);
        continue;
      }
      const piece = rest.subarray(0, INPUT_BYTES);
      this.memory.u8.set(piece, this.#inputAt);
      const consumed = this.core.onInput(conn, this.#inputAt, this.#inputAt + piece.length) - this.#inputAt;
      if (peer.directLeft > 0 && consumed !== piece.length) throw new Error('readInto with input left over');
      rest = rest.subarray(consumed);
      if ((consumed === 0 && !this.#hasYielded) || peer.paused) break;
      this.#hasYielded = false;
    }
    peer.pending = Buffer.from(rest);
    this.core.onTurn();
    if (!peer.stalled) this.#sent(peer);
  }

  #sent(peer: Peer): void {
    peer.waiting = 0;
    for (const lease of peer.leases.splice(0)) {
      this.released++;
      this.core.onReleased(lease);
    }
  }

  reserve(_conn: number, bytes: number): number {
    if (bytes > OUTPUT_BYTES) throw new Error(`reserve of ${bytes} bytes`);
    return this.#outputAt;
  }

  commit(conn: number, end: number): void {
    const peer = this.#peers[conn]!;
    peer.out.push(Buffer.from(this.memory.u8.slice(this.#outputAt, end)));
    peer.waiting += end - this.#outputAt;
  }

  lend(conn: number, offset: number, length: number, lease: number): void {
    const peer = this.#peers[conn]!;
    this.lent++;
    peer.out.push(Buffer.from(this.memory.u8.slice(offset, offset + length)));
    peer.leases.push(lease);
    peer.waiting += length;
  }

  override outputBytes(conn: number): number {
    return this.#peers[conn]!.stalled ? this.#peers[conn]!.waiting : 0;
  }

  override readInto(conn: number, offset: number, length: number): void {
    this.#peers[conn]!.directAt = offset;
    this.#peers[conn]!.directLeft = length;
  }

  override pause(conn: number): void {
    this.#peers[conn]!.paused = true;
  }

  override resume(conn: number): void {
    this.#peers[conn]!.paused = false;
  }

  /** There is nobody else: what is left is handed over again at once. */
  override yieldTurn(): void {
    this.#hasYielded = true;
  }

  override close(conn: number): void {
    const peer = this.#peers[conn]!;
    if (peer.closed) return;
    peer.closed = true;
    // onClose never comes from within a callback.
    queueMicrotask(() => this.hangUp(conn));
  }

  /** The connection ends. @param reason as the loop's `onClose` has it */
  hangUp(conn: number, reason = 0): void {
    const peer = this.#peers[conn]!;
    peer.closed = true;
    this.#sent(peer);
    this.core.onClose(conn, reason);
  }

  override peerName(): string {
    return '127.0.0.1:1';
  }
  override localName(): string {
    return '127.0.0.1:11211';
  }
  override descriptor(conn: number): number {
    return this.#peers[conn]!.fd;
  }
}

/** `STAT` lines as an object. */
export function parseStats(text: string): Record<string, string> {
  const stats: Record<string, string> = {};
  for (const line of text.split('\r\n')) {
    const match = /^STAT (\S+) ?(.*)$/.exec(line);
    if (match) stats[match[1]!] = match[2]!;
  }
  return stats;
}
