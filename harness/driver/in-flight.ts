/**
 * What each connection of a driver thread has on its way: a ring of operations in typed arrays, so that an operation costs
 * no object. Connections are numbered 0 to count - 1 (not by the loop's slots).
 */
export class InFlight {
  /** Operations a connection can have on its way. */
  readonly capacity: number;
  readonly kind: Uint8Array;
  /** When it was due (open loop) or handed over (closed loop), µs. */
  readonly due: Float64Array;
  /** When it was written, µs; NaN until the turn that writes it ends. */
  readonly sent: Float64Array;
  readonly keyCount: Uint16Array;
  /** Keys of an operation, `multiKey` places each. */
  readonly keys: Uint32Array;
  readonly multiKey: number;
  /** Replies seen, and keys answered with a value, of each connection's oldest operation. */
  readonly seen: Int32Array;
  readonly found: Int32Array;
  /** Marks which keys of the oldest operation had a value. */
  readonly marks: Uint8Array;
  /** Positions count up for ever; the place in the ring is position & mask. */
  private readonly head: Uint32Array;
  private readonly tail: Uint32Array;
  private readonly stamped: Uint32Array;
  private readonly mask: number;
  private readonly shift: number;

  constructor(connections: number, operations: number, multiKey: number) {
    this.shift = Math.ceil(Math.log2(Math.max(1, operations)));
    this.capacity = 1 << this.shift;
    this.mask = this.capacity - 1;
    this.multiKey = multiKey;
    const places = connections * this.capacity;
    this.kind = new Uint8Array(places);
    this.due = new Float64Array(places);
    this.sent = new Float64Array(places);
    this.keyCount = new Uint16Array(places);
    this.keys = new Uint32Array(places * multiKey);
    this.seen = new Int32Array(connections);
    this.found = new Int32Array(connections);
    this.marks = new Uint8Array(connections * multiKey);
    this.head = new Uint32Array(connections);
    this.tail = new Uint32Array(connections);
    this.stamped = new Uint32Array(connections);
  }

  count(conn: number): number {
    return (this.tail[conn]! - this.head[conn]!) >>> 0;
  }

  /** @returns the place of a new youngest operation, whose fields the caller fills */
  push(conn: number): number {
    const place = (conn << this.shift) + (this.tail[conn]! & this.mask);
    this.tail[conn]!++;
    return place;
  }

  /** @returns the place of the oldest operation; only when there is one */
  oldest(conn: number): number {
    return (conn << this.shift) + (this.head[conn]! & this.mask);
  }

  /** Drops the oldest operation. */
  shiftOldest(conn: number): void {
    this.head[conn]!++;
    this.seen[conn] = 0;
    this.found[conn] = 0;
  }

  /** All operations not yet stamped were written at this time. */
  stamp(conn: number, us: number): void {
    const tail = this.tail[conn]!;
    for (let position = this.stamped[conn]!; position !== tail; position = (position + 1) >>> 0) {
      this.sent[(conn << this.shift) + (position & this.mask)] = us;
    }
    this.stamped[conn] = tail;
  }

  /** The place of the first operation that is not stamped, or -1. */
  unstamped(conn: number): number {
    return this.stamped[conn] === this.tail[conn] ? -1 : (conn << this.shift) + (this.stamped[conn]! & this.mask);
  }

  clear(conn: number): void {
    this.head[conn] = this.tail[conn]!;
    this.stamped[conn] = this.tail[conn]!;
    this.seen[conn] = 0;
    this.found[conn] = 0;
  }
}

/** Free places of all connections, first in, first out: the open loop takes the connection that has been free the longest. */
export class FreePlaces {
  private readonly ring: Int32Array;
  private readonly mask: number;
  private head = 0;
  size = 0;

  constructor(places: number) {
    const length = 1 << Math.ceil(Math.log2(Math.max(2, places)));
    this.ring = new Int32Array(length);
    this.mask = length - 1;
  }

  add(conn: number): void {
    this.ring[(this.head + this.size++) & this.mask] = conn;
  }

  /** Only when size > 0. */
  take(): number {
    const conn = this.ring[this.head]!;
    this.head = (this.head + 1) & this.mask;
    this.size--;
    return conn;
  }

  /** Forgets the places of a lost connection. */
  drop(conn: number): void {
    for (let left = this.size; left > 0; left--) {
      const other = this.take();
      if (other !== conn) this.add(other);
    }
  }
}
