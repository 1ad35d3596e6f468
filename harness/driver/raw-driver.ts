/**
 * The raw driver of one thread: a state machine over an event loop's connections. Requests are stored straight into the output, replies are
 * told apart in place, what is on its way lies in typed arrays; an operation costs no object, closure or string.
 *
 * Closed loop: each connection sends `depth` operations and, when all of them are answered (and missed gets filled), the next.
 * Open loop: an operation that is due takes the connection that has been free the longest; when none is free it waits. Waiting costs
 * no memory, because due times follow from the arrival process and the operation is drawn when it is sent; its response time
 * counts from the due time all the same. An operation belongs to the phase in which it was due (handed over).
 *
 * Times of an operation: due -> written (end of the turn that stored it) -> answered (its last reply was read).
 */
import type { EventLoop } from '../../engines/io/event-loop.ts';
import { errnoName } from '../../engines/io/system-error.ts';
import type { ConnectionHandler, Memory } from '../../engines/ports.ts';
import type { Arrival } from '../arrival/arrival.ts';
import type { IntervalCounts, Recorder } from '../measure/recorder.ts';
import type { DurationSource } from '../workload/duration.ts';
import { OP_GET, OP_MGET, OP_MSET, OP_SET, OPERATION_KINDS } from '../workload/operation.ts';
import {
  type Codec,
  type KeyValueWriter,
  REPLY_BROKEN,
  REPLY_ERROR,
  REPLY_HIT,
  REPLY_INCOMPLETE,
  textOf,
} from './codec.ts';
import { ABORT, GO, type LoadControl } from './control.ts';
import { FreePlaces, InFlight } from './in-flight.ts';
import type { Endpoint } from './load-plan.ts';
import { OriginHeap } from './origin-heap.ts';

/** The fill of a missed get is a set of the driver's own: a kind beside those of the workload. */
export const KIND_FILL = OPERATION_KINDS.length;
/** Kinds as the recorder numbers them. */
export const RECORDED_KINDS: readonly string[] = [...OPERATION_KINDS, 'fill'];

/** Open attempts under way at once: more would overflow a server's accept queue (511 is a usual length). */
export const CONNECTING_MAX = 128;
/** Attempts to open a connection (again) in a row before the target counts as gone, and the pause before each. */
export const CONNECT_ATTEMPTS_MAX = 6;
export const CONNECT_RETRY_MS = 100;
/** Connections lost during a load before it is given up. */
export const LOST_CONNECTIONS_MAX = 10_000;
/** No reply at all for so long, while some are expected: the target hangs. */
export const REPLY_TIMEOUT_MS = 30_000;
/** After the end of the load so long is waited for operations that are due or on their way. */
export const DRAIN_MS_MAX = 10_000;
/** Operations may wait so long for a free connection before an open loop is given up as overloaded. */
export const BACKLOG_MS_MAX = 20_000;
/** The driver looks at the control word and at its time limits at least so often. */
const HEARTBEAT_MS = 50;
/** While waiting for the start it looks more often, so that all threads start together. */
const START_POLL_MS = 1;

/** Where operations come from: a Workload, a preload or a probe. `next` fills the fields. */
export interface OperationSource {
  kind: number;
  keyCount: number;
  readonly keyIndexes: Uint32Array;
  valueBytes: number;
  ttlSeconds: number;
  version: number;
  readonly dataset: KeyValueWriter;
  next(): void;
  fillTtlSeconds(): number;
}

export interface RawDriverOptions {
  endpoint: Endpoint;
  connections: number;
  /** Operations in flight per connection at the most. */
  depth: number;
  multiKey: number;
  warmUpS: number;
  /** Seconds of the measured phase; Infinity where only `operations` ends it. */
  durationS: number;
  /** Ends the measured phase after so many operations of this thread; 0: by time only. */
  operations: number;
  intervalMs: number;
  /** Share of values that are verified. */
  verify: number;
  /** null: no cache-aside. */
  origin: DurationSource | null;
}

/** What the driver tells whoever runs it, in the loop's thread. */
export interface RawDriverEvents {
  onReady(): void;
  onInterval(phase: 'warm-up' | 'measure', counts: IntervalCounts): void;
  /** The measured phase begins. */
  onMeasure(): void;
}

const DOWN = 0;
const CONNECTING = 1;
const GREETING = 2;
const READY = 3;

const SETTING_UP = 0;
const WAITING_FOR_GO = 1;
const RUNNING = 2;
const DRAINING = 3;
const DONE = 4;

export class RawDriver implements ConnectionHandler {
  readonly recorder: Recorder;
  /** Set when the load ended early: why, in a sentence. */
  aborted: string | null = null;
  bytesSent = 0;
  bytesReceived = 0;
  measureStartUs = Number.POSITIVE_INFINITY;
  /** When the last measured operation was answered. */
  lastAnswerUs = 0;

  private readonly loop: EventLoop;
  private readonly memory: Memory;
  private readonly codec: Codec;
  private readonly source: OperationSource;
  private readonly arrival: Arrival;
  private readonly control: LoadControl;
  private readonly events: RawDriverEvents;
  private readonly options: RawDriverOptions;
  private readonly greeting: { bytes: Uint8Array; replies: number } | null;
  private readonly ops: InFlight;
  private readonly free: FreePlaces;
  private readonly waiting = new OriginHeap();
  private readonly scratch = new Uint8Array(2_048);
  private readonly oneKey = new Uint32Array(1);
  private readonly open: boolean;
  private readonly fills: boolean;

  private stage = SETTING_UP;
  private readonly state: Uint8Array;
  private readonly slot: Int32Array;
  private readonly attempts: Uint8Array;
  private readonly retryAtUs: Float64Array;
  private readonly greetingsLeft: Uint8Array;
  /** Closed loop: operations on their way or waiting for the origin. */
  private readonly outstanding: Int32Array;
  /** Last reply (the moment from which a free place was free). */
  private readonly freeSinceUs: Float64Array;
  /** A part of the oldest operation was answered with an error. */
  private readonly failedPart: Uint8Array;
  /** Position to go on from when a multi-get's values are matched with its keys. */
  private readonly cursor: Int32Array;
  private ofSlot = new Int32Array(1_024).fill(-1);
  private readonly dirty: Int32Array;
  private readonly isDirty: Uint8Array;
  private dirtyCount = 0;
  private readyCount = 0;
  private connectingCount = 0;
  private downCount: number;
  private nextToOpen = 0;
  private lost = 0;

  private inFlightTotal = 0;
  private quota: number;
  private nextDueUs = Number.POSITIVE_INFINITY;
  private startUs = 0;
  private endUs = Number.POSITIVE_INFINITY;
  private measuring = false;
  private intervalIndex = 0;
  private intervalEndUs = Number.POSITIVE_INFINITY;
  private lastExtended = false;
  private heartbeatUs = 0;
  private lastProgressUs = 0;
  private verifyDebt = 0;
  private lastError = '';

  constructor(
    loop: EventLoop,
    codec: Codec,
    source: OperationSource,
    arrival: Arrival,
    control: LoadControl,
    recorder: Recorder,
    options: RawDriverOptions,
    events: RawDriverEvents,
  ) {
    this.loop = loop;
    this.memory = loop.memory;
    this.codec = codec;
    this.source = source;
    this.arrival = arrival;
    this.control = control;
    this.recorder = recorder;
    this.options = options;
    this.events = events;
    this.open = arrival.open;
    this.fills = options.origin !== null;
    this.greeting = codec.handshake(options.endpoint);
    const count = options.connections;
    this.ops = new InFlight(count, options.depth * (this.fills ? options.multiKey : 1), options.multiKey);
    this.free = new FreePlaces(count * options.depth);
    this.state = new Uint8Array(count);
    this.slot = new Int32Array(count).fill(-1);
    this.attempts = new Uint8Array(count);
    this.retryAtUs = new Float64Array(count);
    this.greetingsLeft = new Uint8Array(count);
    this.outstanding = new Int32Array(count);
    this.freeSinceUs = new Float64Array(count);
    this.failedPart = new Uint8Array(count);
    this.cursor = new Int32Array(count);
    this.dirty = new Int32Array(count);
    this.isDirty = new Uint8Array(count);
    this.downCount = count;
    this.quota = options.operations > 0 ? options.operations : Number.POSITIVE_INFINITY;
    loop.setHandler(this);
    loop.deadlineUs = loop.nowUs();
  }

  // Connections

  private openSome(now: number): void {
    if (this.downCount === 0) return;
    const count = this.options.connections;
    // `nextToOpen` goes round, so that a long list of lost connections is not searched from the start each time.
    for (let looked = 0; looked < count && this.connectingCount < CONNECTING_MAX && this.downCount > 0; looked++) {
      const i = this.nextToOpen;
      this.nextToOpen = i + 1 === count ? 0 : i + 1;
      if (this.state[i] === DOWN && this.retryAtUs[i]! <= now) this.connect(i);
    }
  }

  private connect(i: number): void {
    const address = this.options.endpoint.address;
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
    const target = addressText(this.options.endpoint);
    const said = this.lastError === '' ? '' : `; it last said "${this.lastError}"`;
    const during = this.stage === SETTING_UP ? `Cannot connect to ${target}` : `The target at ${target} is gone`;
    this.giveUp(`${during}: ${CONNECT_ATTEMPTS_MAX} attempts in a row failed (${why})${said}`);
  }

  onOpen(conn: number): void {
    const i = this.ofSlot[conn]!;
    this.connectingCount--;
    if (this.greeting === null) {
      this.ready(i);
      return;
    }
    this.state[i] = GREETING;
    this.greetingsLeft[i] = this.greeting.replies;
    const at = this.loop.reserve(conn, this.greeting.bytes.length);
    this.memory.u8.set(this.greeting.bytes, at);
    this.loop.commit(conn, at + this.greeting.bytes.length);
  }

  private ready(i: number): void {
    this.state[i] = READY;
    this.readyCount++;
    const now = this.loop.nowUs();
    this.freeSinceUs[i] = now;
    if (this.open) for (let place = 0; place < this.options.depth; place++) this.free.add(i);
    if (this.stage === SETTING_UP && this.readyCount === this.options.connections) {
      this.stage = WAITING_FOR_GO;
      this.events.onReady();
    } else if (this.stage === RUNNING && !this.open) {
      this.sendNext(i, now);
    }
  }

  onClose(conn: number, reason: number): void {
    const i = this.ofSlot[conn]!;
    this.ofSlot[conn] = -1;
    const state = this.state[i]!;
    this.state[i] = DOWN;
    this.slot[i] = -1;
    this.downCount++;
    if (this.stage === DONE) return;
    const why = reason === 0 ? 'closed by the server' : errnoName(reason);
    if (state === READY) {
      this.readyCount--;
      this.free.drop(i);
      this.waiting.drop(i);
      this.outstanding[i] = 0;
      this.failInFlight(i, `connection lost (${why})`);
      if (++this.lost > LOST_CONNECTIONS_MAX)
        this.giveUp(`${LOST_CONNECTIONS_MAX} connections were lost; the last: ${why}`);
    } else if (state === CONNECTING) {
      this.connectingCount--;
    }
    if (this.stage === DRAINING) {
      this.finishIfDrained(this.loop.nowUs());
      return;
    }
    this.retry(i, why);
  }

  private failInFlight(i: number, text: string): void {
    for (let left = this.ops.count(i); left > 0; left--) {
      const place = this.ops.oldest(i);
      if (this.ops.due[place]! >= this.measureStartUs) this.recorder.error(this.ops.kind[place]!, text);
      this.ops.shiftOldest(i);
      this.inFlightTotal--;
    }
    this.ops.clear(i);
    this.failedPart[i] = 0;
    this.cursor[i] = 0;
  }

  onDirect(): void {}

  onReleased(): void {}

  // Replies

  onInput(conn: number, start: number, end: number): number {
    if (this.stage === DONE) return end;
    const i = this.ofSlot[conn]!;
    const now = this.loop.nowUs();
    this.lastProgressUs = now;
    if (this.state[i] === GREETING) return this.onGreeting(i, start, end);
    const { ops, codec } = this;
    const u8 = this.memory.u8;
    let at = start;
    while (at < end) {
      if (ops.count(i) === 0) return this.onUnasked(conn, at, end);
      const place = ops.oldest(i);
      const kind = ops.kind[place]!;
      const found = codec.parse(u8, at, end, kind === KIND_FILL ? OP_SET : kind, ops.keyCount[place]!, ops.seen[i]!);
      if (found === REPLY_INCOMPLETE) break;
      if (found === REPLY_BROKEN) {
        this.recorder.error(kind, `not a reply: "${textOf(u8, at, Math.min(end - at, 40))}"`);
        this.loop.close(conn, false);
        return end;
      }
      if (found === REPLY_HIT) this.onHit(i, place, u8);
      else if (found === REPLY_ERROR) this.onError(i, place, u8);
      ops.seen[i]!++;
      at = codec.nextAt;
      if (codec.last) this.complete(i, place, kind, now);
    }
    this.attempts[i] = 0;
    this.bytesReceived += this.measuring ? at - start : 0;
    if (!this.open && this.outstanding[i] === 0 && this.stage === RUNNING) this.sendNext(i, now);
    return at;
  }

  private onGreeting(i: number, start: number, end: number): number {
    const { codec } = this;
    const u8 = this.memory.u8;
    let at = start;
    while (at < end && this.greetingsLeft[i]! > 0) {
      const found = codec.parseHandshake(u8, at, end);
      if (found === REPLY_INCOMPLETE) return at;
      if (found === REPLY_ERROR || found === REPLY_BROKEN) {
        const text = found === REPLY_ERROR ? textOf(u8, codec.textAt, codec.textBytes) : textOf(u8, at, end - at);
        this.giveUp(`Cannot log in to ${addressText(this.options.endpoint)}: the server said "${text}"`);
        return end;
      }
      at = codec.nextAt;
      this.greetingsLeft[i]!--;
    }
    if (this.greetingsLeft[i] === 0) this.ready(i);
    return at;
  }

  /** Bytes that no operation waits for: a server says so why it turns us away, and closes. */
  private onUnasked(conn: number, at: number, end: number): number {
    this.lastError = textOf(this.memory.u8, at, end - at).trim();
    if (this.stage >= RUNNING) this.recorder.error(-1, `unasked: ${this.lastError}`);
    this.loop.close(conn, false);
    return end;
  }

  private onHit(i: number, place: number, u8: Uint8Array): void {
    const { ops, codec } = this;
    ops.found[i]!++;
    let position = codec.position;
    const keys = place * ops.multiKey;
    if (position < 0) position = this.matchKey(i, place, u8);
    if (ops.kind[place] === OP_MGET) ops.marks[i * ops.multiKey + position] = 1;
    this.verifyDebt += this.options.verify;
    if (this.verifyDebt < 1) return;
    this.verifyDebt -= 1;
    const key = ops.keys[keys + position]!;
    const right = this.source.dataset.checkValue(u8, codec.valueAt, codec.valueBytes, key);
    if (ops.due[place]! < this.measureStartUs) return;
    this.recorder.checked++;
    if (right) return;
    this.recorder.wrong++;
    this.recorder.error(
      ops.kind[place]!,
      `wrong value of key number ${key}: ${codec.valueBytes} bytes, beginning "${textOf(u8, codec.valueAt, Math.min(codec.valueBytes, 24))}"`,
    );
  }

  /** Values of an ASCII multi-get come in the order of the keys, without those that were missed: finds the next one's position. */
  private matchKey(i: number, place: number, u8: Uint8Array): number {
    const { ops, codec, scratch } = this;
    const count = ops.keyCount[place]!;
    if (ops.seen[i] === 0) this.cursor[i] = 0;
    for (let position = this.cursor[i]!; position < count; position++) {
      const length = this.source.dataset.writeKey(scratch, 0, ops.keys[place * ops.multiKey + position]!);
      if (length !== codec.keyBytes) continue;
      let same = 0;
      while (same < length && u8[codec.keyAt + same] === scratch[same]) same++;
      if (same < length) continue;
      this.cursor[i] = position + 1;
      return position;
    }
    return count - 1;
  }

  private onError(i: number, place: number, u8: Uint8Array): void {
    this.failedPart[i] = 1;
    if (this.ops.due[place]! < this.measureStartUs) return;
    this.recorder.error(this.ops.kind[place]!, textOf(u8, this.codec.textAt, this.codec.textBytes));
  }

  /** An operation's last reply was read. */
  private complete(i: number, place: number, kind: number, now: number): void {
    const { ops, recorder } = this;
    const due = ops.due[place]!;
    const measured = due >= this.measureStartUs;
    const failed = this.failedPart[i] === 1;
    let toFill = 0;
    let user = now - due;
    if (!failed && (kind === OP_GET || kind === OP_MGET)) {
      const found = ops.found[i]!;
      const missed = ops.keyCount[place]! - found;
      if (measured) {
        if (found > 0) recorder.hit(found);
        if (missed > 0) recorder.miss(missed);
      }
      if (this.fills) {
        if (missed > 0) {
          const waited = this.askOrigin(i, place, now, kind);
          toFill = missed;
          user += waited;
          if (measured) recorder.originRequests += missed;
        }
        if (measured) recorder.userLatency(user);
      }
    }
    if (!failed) {
      const sent = ops.sent[place]!;
      if (measured) {
        recorder.operation(kind, now - due, now - sent);
        this.lastAnswerUs = now;
      } else {
        recorder.warmUp(now - due);
      }
    }
    if (kind === OP_MGET) ops.marks.fill(0, i * ops.multiKey, i * ops.multiKey + ops.multiKey);
    this.failedPart[i] = 0;
    ops.shiftOldest(i);
    this.inFlightTotal--;
    if (this.open) {
      this.freeSinceUs[i] = now;
      this.free.add(i);
    } else {
      this.outstanding[i]! += toFill - 1;
    }
  }

  /** Lets each missed key of an operation wait for the origin. @returns the longest wait in µs */
  private askOrigin(i: number, place: number, now: number, kind: number): number {
    const { ops, source } = this;
    let longest = 0;
    for (let position = 0; position < ops.keyCount[place]!; position++) {
      if (kind === OP_MGET && ops.marks[i * ops.multiKey + position] === 1) continue;
      const key = ops.keys[place * ops.multiKey + position]!;
      const wait = this.options.origin!.nextUs();
      if (wait > longest) longest = wait;
      if (!this.waiting.add(now + wait, i, key, source.dataset.valueBytesOf(key))) {
        this.giveUp('Overloaded: more than a million missed gets wait for the origin');
      }
    }
    return longest;
  }

  // Sending

  /** Closed loop: the next operations of a connection all of whose operations are done. */
  private sendNext(i: number, now: number): void {
    const source = this.source;
    for (let n = 0; n < this.options.depth; n++) {
      if (now >= this.endUs || !this.takeQuota(now)) break;
      source.next();
      this.outstanding[i]!++;
      this.store(i, source.kind, source.keyIndexes, source.keyCount, source.valueBytes, source.ttlSeconds, now);
    }
  }

  private takeQuota(dueUs: number): boolean {
    if (dueUs < this.measureStartUs) return true;
    if (this.quota === 0) return false;
    this.quota--;
    return true;
  }

  /** Open loop: sends what is due, as long as connections are free. */
  private sendDue(now: number): void {
    const { free, source } = this;
    while (this.nextDueUs <= now && free.size > 0) {
      if (this.nextDueUs >= this.endUs || !this.takeQuota(this.nextDueUs)) {
        this.nextDueUs = Number.POSITIVE_INFINITY;
        break;
      }
      const i = free.take();
      source.next();
      this.store(
        i,
        source.kind,
        source.keyIndexes,
        source.keyCount,
        source.valueBytes,
        source.ttlSeconds,
        this.nextDueUs,
      );
      this.nextDueUs = this.startUs + this.arrival.nextDueUs();
    }
    if (this.nextDueUs >= this.endUs) this.nextDueUs = Number.POSITIVE_INFINITY;
    if (now - this.nextDueUs > BACKLOG_MS_MAX * 1_000) {
      this.giveUp(
        `Overloaded: operations wait more than ${BACKLOG_MS_MAX / 1000} s for a free connection; lower the rate or raise connections`,
      );
    }
  }

  /** Fills whose origin has answered. */
  private sendFills(now: number): void {
    const { waiting } = this;
    while (waiting.nextUs <= now && (!this.open || this.free.size > 0)) {
      waiting.take();
      const i = this.open ? this.free.take() : waiting.conn;
      this.oneKey[0] = waiting.key;
      const ttl = this.source.fillTtlSeconds();
      this.store(i, KIND_FILL, this.oneKey, 1, waiting.valueBytes, ttl, waiting.dueUs);
    }
  }

  private store(
    i: number,
    kind: number,
    keys: Uint32Array,
    keyCount: number,
    valueBytes: number,
    ttlS: number,
    dueUs: number,
  ): void {
    const { ops, codec } = this;
    const wireKind = kind === KIND_FILL ? OP_SET : kind;
    let payload = valueBytes;
    if (kind === OP_MSET) {
      payload = 0;
      for (let n = 0; n < keyCount; n++) payload += this.source.dataset.valueBytesOf(keys[n]!);
    }
    const conn = this.slot[i]!;
    const at = this.loop.reserve(conn, codec.room(wireKind, keyCount, payload));
    if (at === 0) {
      this.giveUp('The driver ran out of memory for output: lower connections, pipeline or value sizes');
      return;
    }
    const end = codec.encode(this.memory.u8, at, wireKind, keys, 0, keyCount, valueBytes, ttlS, this.source.version);
    this.loop.commit(conn, end);
    if (this.measuring) this.bytesSent += end - at;
    const place = ops.push(i);
    ops.kind[place] = kind;
    ops.due[place] = dueUs;
    ops.keyCount[place] = keyCount;
    const firstKey = place * ops.multiKey;
    for (let n = 0; n < keyCount; n++) ops.keys[firstKey + n] = keys[n]!;
    this.inFlightTotal++;
    if (this.isDirty[i] === 0) {
      this.isDirty[i] = 1;
      this.dirty[this.dirtyCount++] = i;
    }
  }

  /** Stamps what leaves with this turn. */
  private stamp(): void {
    const { ops } = this;
    const now = this.loop.nowUs();
    for (let n = 0; n < this.dirtyCount; n++) {
      const i = this.dirty[n]!;
      this.isDirty[i] = 0;
      if (this.open && this.measuring) {
        const place = ops.unstamped(i);
        // The load generator is late only since there was a connection to send on.
        if (place >= 0) this.recorder.sendLag(now - Math.max(ops.due[place]!, this.freeSinceUs[i]!));
      }
      ops.stamp(i, now);
    }
    this.dirtyCount = 0;
  }

  // Phases

  onTurn(): void {
    const now = this.loop.nowUs();
    if (now >= this.heartbeatUs) this.beat(now);
    if (this.stage === RUNNING || this.stage === DRAINING) {
      if (now >= this.intervalEndUs) this.closeInterval(now);
      if (this.waiting.nextUs <= now) this.sendFills(now);
      if (this.nextDueUs <= now) this.sendDue(now);
      if (this.stage === RUNNING && this.isOver(now)) this.beginDrain(now);
      if (this.stage === DRAINING) this.finishIfDrained(now);
    }
    if (this.dirtyCount > 0) this.stamp();
    this.loop.deadlineUs = this.nextWake();
  }

  private nextWake(): number {
    if (this.stage === DONE) return Number.POSITIVE_INFINITY;
    let wake = Math.min(this.heartbeatUs, this.intervalEndUs);
    if (this.stage === RUNNING && this.endUs < wake) wake = this.endUs;
    if (!this.open || this.free.size > 0) wake = Math.min(wake, this.nextDueUs, this.waiting.nextUs);
    return wake;
  }

  /** What need not be looked at in every turn. */
  private beat(now: number): void {
    if (this.stage === DONE) return;
    const state = this.control.state;
    if (state === ABORT) {
      this.giveUp('aborted');
      return;
    }
    if (this.stage === WAITING_FOR_GO && state === GO && now >= this.control.startUs) this.begin(this.control.startUs);
    this.openSome(now);
    const waits = this.stage <= WAITING_FOR_GO;
    this.heartbeatUs = now + (waits ? START_POLL_MS : HEARTBEAT_MS) * 1_000;
    if (this.inFlightTotal > 0 && now - this.lastProgressUs > REPLY_TIMEOUT_MS * 1_000) {
      this.giveUp(
        `The target at ${addressText(this.options.endpoint)} has not replied for ${REPLY_TIMEOUT_MS / 1000} s`,
      );
    }
  }

  private begin(startUs: number): void {
    const { warmUpS, durationS, intervalMs } = this.options;
    this.stage = RUNNING;
    this.startUs = startUs;
    this.lastProgressUs = startUs;
    this.measureStartUs = startUs + warmUpS * 1e6;
    this.endUs = this.measureStartUs + durationS * 1e6;
    this.lastAnswerUs = this.measureStartUs;
    this.measuring = warmUpS === 0;
    if (this.measuring) this.events.onMeasure();
    this.intervalEndUs = Math.min(startUs + intervalMs * 1_000, this.measuring ? this.endUs : this.measureStartUs);
    if (this.open) {
      this.nextDueUs = startUs + this.arrival.nextDueUs();
      return;
    }
    const now = this.loop.nowUs();
    for (let i = 0; i < this.options.connections; i++) if (this.state[i] === READY) this.sendNext(i, now);
  }

  /** Closes the running interval; the warm-up's last one ends where the measured phase begins. */
  private closeInterval(now: number): void {
    const stepUs = this.options.intervalMs * 1_000;
    while (now >= this.intervalEndUs) {
      if (this.measuring && !this.lastExtended && this.intervalEndUs >= this.endUs - 1) {
        // What is drained right after the end belongs to the last whole interval, not to one of its own.
        this.lastExtended = true;
        this.intervalEndUs = this.endUs + stepUs / 2;
        continue;
      }
      const phaseStart = this.measuring ? this.measureStartUs : this.startUs;
      this.events.onInterval(this.measuring ? 'measure' : 'warm-up', this.recorder.takeInterval(this.intervalIndex++));
      let next = phaseStart + (this.intervalIndex + 1) * stepUs;
      if (!this.measuring && this.intervalEndUs >= this.measureStartUs) {
        this.measuring = true;
        this.events.onMeasure();
        this.recorder.reset();
        this.intervalIndex = 0;
        next = this.measureStartUs + stepUs;
      } else if (!this.measuring) {
        next = Math.min(next, this.measureStartUs);
      }
      this.intervalEndUs = next;
    }
  }

  private isOver(now: number): boolean {
    if (now >= this.endUs) {
      return !this.open || this.nextDueUs >= this.endUs || now >= this.endUs + DRAIN_MS_MAX * 1_000;
    }
    return this.quota === 0;
  }

  /** No new operations from here on; misses that still wait for the origin are let go. */
  private beginDrain(now: number): void {
    this.stage = DRAINING;
    if (now >= this.endUs) this.countUnsent();
    this.endUs = Math.min(this.endUs, now);
    this.nextDueUs = Number.POSITIVE_INFINITY;
    this.waiting.size = 0;
  }

  /** Operations that were due but found no free connection even after the end. */
  private countUnsent(): void {
    let unsent = 0;
    for (; this.nextDueUs < this.endUs; this.nextDueUs = this.startUs + this.arrival.nextDueUs()) unsent++;
    if (unsent > 0)
      this.recorder.error(-1, `not sent within ${DRAIN_MS_MAX / 1000} s after the end of the load`, unsent);
  }

  private finishIfDrained(now: number): void {
    if (this.stage !== DRAINING) return;
    if (this.inFlightTotal > 0 && now < this.endUs + DRAIN_MS_MAX * 1_000) return;
    for (let i = 0; i < this.options.connections; i++) {
      this.failInFlight(i, `not answered within ${DRAIN_MS_MAX / 1000} s after the end of the load`);
    }
    this.finish();
  }

  /** Ends the load early. */
  giveUp(why: string): void {
    if (this.stage === DONE) return;
    this.aborted ??= why;
    for (let i = 0; i < this.options.connections; i++) this.ops.clear(i);
    this.inFlightTotal = 0;
    this.finish();
  }

  private finish(): void {
    // Whatever was recorded after the last whole interval belongs to a last, shorter one.
    if (this.measuring) this.events.onInterval('measure', this.recorder.takeInterval(this.intervalIndex++));
    this.stage = DONE;
    this.loop.stop();
  }
}

/** Address for messages: without credentials. */
export function addressText(endpoint: Endpoint): string {
  const address = endpoint.address;
  return address.kind === 'unix' ? address.path : `${address.host}:${address.port}`;
}
