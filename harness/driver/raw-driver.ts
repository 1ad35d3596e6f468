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
import type { ConnectionHandler, Memory } from '../../engines/ports.ts';
import type { Arrival } from '../arrival/arrival.ts';
import type { Recorder } from '../measure/recorder.ts';
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
import { addressText, type ConnectionEvents, Connections } from './connections.ts';
import { ABORT, GO, type LoadControl } from './control.ts';
import { FreePlaces, InFlight } from './in-flight.ts';
import { OriginHeap } from './origin-heap.ts';
import { type DriverEvents, Phases } from './phases.ts';
import type { WorkOptions } from './thread-work.ts';

/** The fill of a missed get is a set of the driver's own: a kind beside those of the workload. */
export const KIND_FILL = OPERATION_KINDS.length;
/** Kinds as the recorder numbers them. */
export const RECORDED_KINDS: readonly string[] = [...OPERATION_KINDS, 'fill'];

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

const SETTING_UP = 0;
const WAITING_FOR_GO = 1;
const RUNNING = 2;
const DRAINING = 3;
const DONE = 4;

export class RawDriver implements ConnectionHandler, ConnectionEvents {
  readonly recorder: Recorder;
  /** Set when the load ended early: why, in a sentence. */
  aborted: string | null = null;
  bytesSent = 0;
  bytesReceived = 0;
  readonly phases: Phases;
  /** When the last measured operation was answered. */
  lastAnswerUs = 0;

  private readonly loop: EventLoop;
  private readonly memory: Memory;
  private readonly codec: Codec;
  private readonly source: OperationSource;
  private readonly arrival: Arrival;
  private readonly control: LoadControl;
  private readonly events: DriverEvents;
  private readonly options: WorkOptions;
  private readonly connections: Connections;
  private readonly ops: InFlight;
  private readonly free: FreePlaces;
  private readonly waiting = new OriginHeap();
  private readonly scratch = new Uint8Array(2_048);
  private readonly oneKey = new Uint32Array(1);
  private readonly open: boolean;
  private readonly fills: boolean;

  private stage = SETTING_UP;
  /** Closed loop: operations on their way or waiting for the origin. */
  private readonly outstanding: Int32Array;
  /** Last reply (the moment from which a free place was free). */
  private readonly freeSinceUs: Float64Array;
  /** A part of the oldest operation was answered with an error. */
  private readonly failedPart: Uint8Array;
  /** Position to go on from when a multi-get's values are matched with its keys. */
  private readonly cursor: Int32Array;
  private readonly dirty: Int32Array;
  private readonly isDirty: Uint8Array;
  private dirtyCount = 0;

  private inFlightTotal = 0;
  private quota: number;
  private nextDueUs = Number.POSITIVE_INFINITY;
  private heartbeatUs = 0;
  private lastProgressUs = 0;
  private verifyDebt = 0;

  constructor(
    loop: EventLoop,
    codec: Codec,
    source: OperationSource,
    arrival: Arrival,
    control: LoadControl,
    recorder: Recorder,
    options: WorkOptions,
    events: DriverEvents,
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
    // In an open loop a late wake-up would count as response time.
    loop.pollsBeforeDeadline = arrival.open;
    this.fills = options.origin !== null;
    const count = options.connections;
    this.phases = new Phases(options, recorder, events);
    this.connections = new Connections(count, loop, codec, options.endpoint, this);
    this.ops = new InFlight(count, options.depth * (this.fills ? options.multiKey : 1), options.multiKey);
    this.free = new FreePlaces(count * options.depth);
    this.outstanding = new Int32Array(count);
    this.freeSinceUs = new Float64Array(count);
    this.failedPart = new Uint8Array(count);
    this.cursor = new Int32Array(count);
    this.dirty = new Int32Array(count);
    this.isDirty = new Uint8Array(count);
    this.quota = options.operations > 0 ? options.operations : Number.POSITIVE_INFINITY;
    loop.setHandler(this);
    loop.deadlineUs = loop.nowUs();
  }

  // Connections

  onOpen(conn: number): void {
    this.connections.opened(conn);
  }

  onReady(i: number): void {
    const now = this.loop.nowUs();
    this.freeSinceUs[i] = now;
    if (this.open) for (let place = 0; place < this.options.depth; place++) this.free.add(i);
    if (this.stage === SETTING_UP && this.connections.readyCount === this.options.connections) {
      this.stage = WAITING_FOR_GO;
      this.events.onReady();
    } else if (this.stage === RUNNING && !this.open) {
      this.sendNext(i, now);
    }
  }

  onClose(conn: number, reason: number): void {
    if (this.stage !== DONE) this.connections.closed(conn, reason, this.stage !== DRAINING);
    if (this.stage === DRAINING) this.finishIfDrained(this.loop.nowUs());
  }

  onLost(i: number, why: string): void {
    this.free.drop(i);
    this.waiting.drop(i);
    this.outstanding[i] = 0;
    this.failInFlight(i, `connection lost (${why})`);
  }

  onGone(why: string): void {
    this.giveUp(why);
  }

  private failInFlight(i: number, text: string): void {
    for (let left = this.ops.count(i); left > 0; left--) {
      const place = this.ops.oldest(i);
      if (this.ops.due[place]! >= this.phases.measureStartUs) this.recorder.error(this.ops.kind[place]!, text);
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
    const i = this.connections.at(conn);
    const now = this.loop.nowUs();
    this.lastProgressUs = now;
    if (this.connections.isGreeting(i)) return this.connections.greet(i, start, end);
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
    this.connections.answered(i);
    this.bytesReceived += this.phases.measuring ? at - start : 0;
    if (!this.open && this.outstanding[i] === 0 && this.stage === RUNNING) this.sendNext(i, now);
    return at;
  }

  private onUnasked(conn: number, at: number, end: number): number {
    const text = this.connections.unasked(conn, at, end);
    if (this.stage >= RUNNING) this.recorder.error(-1, `unasked: ${text}`);
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
    if (ops.due[place]! < this.phases.measureStartUs) return;
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
    if (this.ops.due[place]! < this.phases.measureStartUs) return;
    this.recorder.error(this.ops.kind[place]!, textOf(u8, this.codec.textAt, this.codec.textBytes));
  }

  /** An operation's last reply was read. */
  private complete(i: number, place: number, kind: number, now: number): void {
    const { ops, recorder } = this;
    const due = ops.due[place]!;
    // The warm-up is recorded like the rest and forgotten at its end; what it left behind on its way is not counted then.
    const counted = due >= this.phases.measureStartUs || !this.phases.measuring;
    const failed = this.failedPart[i] === 1;
    let toFill = 0;
    if (!failed && (kind === OP_GET || kind === OP_MGET)) {
      const found = ops.found[i]!;
      const missed = ops.keyCount[place]! - found;
      const waited = this.fills && missed > 0 ? this.askOrigin(i, place, now, kind) : 0;
      if (this.fills) toFill = missed;
      if (counted) {
        recorder.hit(found);
        recorder.miss(missed);
        recorder.originRequests += toFill;
        if (this.fills) recorder.userLatency(now - due + waited);
      }
    }
    if (!failed && counted) {
      recorder.operation(kind, now - due, now - ops.sent[place]!);
      this.lastAnswerUs = now;
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
      if (now >= this.phases.endUs || !this.takeQuota(now)) break;
      source.next();
      this.outstanding[i]!++;
      this.store(i, source.kind, source.keyIndexes, source.keyCount, source.valueBytes, source.ttlSeconds, now);
    }
  }

  private takeQuota(dueUs: number): boolean {
    if (dueUs < this.phases.measureStartUs) return true;
    if (this.quota === 0) return false;
    this.quota--;
    return true;
  }

  /** Open loop: sends what is due, as long as connections are free. */
  private sendDue(now: number): void {
    const { free, source } = this;
    while (this.nextDueUs <= now && free.size > 0) {
      if (this.nextDueUs >= this.phases.endUs || !this.takeQuota(this.nextDueUs)) {
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
      this.nextDueUs = this.phases.startUs + this.arrival.nextDueUs();
    }
    if (this.nextDueUs >= this.phases.endUs) this.nextDueUs = Number.POSITIVE_INFINITY;
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
    const conn = this.connections.slot[i]!;
    const at = this.loop.reserve(conn, codec.room(wireKind, keyCount, payload));
    if (at === 0) {
      this.giveUp('The driver ran out of memory for output: lower connections, pipeline or value sizes');
      return;
    }
    const end = codec.encode(this.memory.u8, at, wireKind, keys, 0, keyCount, valueBytes, ttlS, this.source.version);
    this.loop.commit(conn, end);
    if (this.phases.measuring) this.bytesSent += end - at;
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
      if (this.open && this.phases.measuring) {
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
      if (now >= this.phases.intervalEndUs) this.phases.closeIntervals(now);
      if (this.waiting.nextUs <= now && this.stage === RUNNING) this.sendFills(now);
      if (this.nextDueUs <= now) this.sendDue(now);
      if (this.stage === RUNNING && this.isOver(now)) this.beginDrain(now);
      if (this.stage === DRAINING) this.finishIfDrained(now);
    }
    if (this.dirtyCount > 0) this.stamp();
    this.loop.deadlineUs = this.nextWake();
  }

  private nextWake(): number {
    if (this.stage === DONE) return Number.POSITIVE_INFINITY;
    let wake = Math.min(this.heartbeatUs, this.phases.intervalEndUs);
    if (this.stage === RUNNING && this.phases.endUs < wake) wake = this.phases.endUs;
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
    this.connections.openSome(now);
    const waits = this.stage <= WAITING_FOR_GO;
    this.heartbeatUs = now + (waits ? START_POLL_MS : HEARTBEAT_MS) * 1_000;
    if (this.inFlightTotal > 0 && now - this.lastProgressUs > REPLY_TIMEOUT_MS * 1_000) {
      this.giveUp(
        `The target at ${addressText(this.options.endpoint)} has not replied for ${REPLY_TIMEOUT_MS / 1000} s`,
      );
    }
  }

  private begin(startUs: number): void {
    this.stage = RUNNING;
    this.lastProgressUs = startUs;
    this.phases.begin(startUs);
    this.lastAnswerUs = this.phases.measureStartUs;
    if (this.open) {
      this.nextDueUs = startUs + this.arrival.nextDueUs();
      return;
    }
    const now = this.loop.nowUs();
    for (let i = 0; i < this.options.connections; i++) if (this.connections.isReady(i)) this.sendNext(i, now);
  }

  private isOver(now: number): boolean {
    if (now >= this.phases.endUs) {
      return !this.open || this.nextDueUs >= this.phases.endUs || now >= this.phases.endUs + DRAIN_MS_MAX * 1_000;
    }
    return this.quota === 0;
  }

  /** No new operations from here on; misses that still wait for the origin are let go. */
  private beginDrain(now: number): void {
    this.stage = DRAINING;
    if (now >= this.phases.endUs) this.countUnsent();
    this.phases.endUs = Math.min(this.phases.endUs, now);
    this.nextDueUs = Number.POSITIVE_INFINITY;
    this.waiting.size = 0;
  }

  /** Operations that were due but found no free connection even after the end. */
  private countUnsent(): void {
    let unsent = 0;
    for (; this.nextDueUs < this.phases.endUs; this.nextDueUs = this.phases.startUs + this.arrival.nextDueUs())
      unsent++;
    if (unsent > 0)
      this.recorder.error(-1, `not sent within ${DRAIN_MS_MAX / 1000} s after the end of the load`, unsent);
  }

  private finishIfDrained(now: number): void {
    if (this.stage !== DRAINING) return;
    if (this.inFlightTotal > 0 && now < this.phases.endUs + DRAIN_MS_MAX * 1_000) return;
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
    this.phases.finish();
    this.stage = DONE;
    this.loop.stop();
  }
}
