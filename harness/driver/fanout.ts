/**
 * Fan-out: one publisher, many receivers, and how long each message takes from the one to each of the others.
 *
 * Redis: receivers SUBSCRIBE to channel (receiver number modulo channels), the publisher sends PUBLISH. memcached has no such thing, so
 * what a user would write instead is measured and labelled: the publisher sets a key for each channel, each receiver asks for
 * it every pollIntervalMs (their polls are spread evenly over the interval); a version overwritten before it was seen is lost.
 *
 * A message carries its number, the time when it was due and the time when it was stored for sending. Kinds recorded:
 * "delivery" (response: due -> seen, service: sent -> seen; these make the time series), "publish" (due, sent -> acknowledged) and "poll".
 */
import type { EventLoop } from '../../engines/io/event-loop.ts';
import type { ConnectionHandler } from '../../engines/ports.ts';
import type { FanoutSpec } from '../../scenarios/spec.ts';
import type { Arrival } from '../arrival/arrival.ts';
import type { Recorder } from '../measure/recorder.ts';
import { OP_GET, OP_SET } from '../workload/operation.ts';
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
import { InFlight } from './in-flight.ts';
import type { Endpoint } from './load-plan.ts';
import { type DriverEvents, Phases, type PhaseTimes } from './phases.ts';
import { findMessage, MESSAGE_HEAD_BYTES, putPublish, putSubscribe } from './pubsub-wire.ts';
import { REPLY_TIMEOUT_MS } from './raw-driver.ts';

/** Kinds as the recorder numbers them. */
export const FANOUT_KINDS: readonly string[] = ['delivery', 'publish', 'poll'];
const DELIVERY = 0;
const PUBLISH = 1;
const POLL = 2;

/** Messages that the publisher has sent and that are not acknowledged yet; more than this are not sent but wait. */
export const PUBLISHES_IN_FLIGHT_MAX = 1_024;
/** Deliveries may come so long after the last message before they count as lost. */
export const DELIVERY_MS_MAX = 5_000;
const HEARTBEAT_MS = 20;
const START_POLL_MS = 1;

const SETTING_UP = 0;
const WAITING_FOR_GO = 1;
const RUNNING = 2;
const DRAINING = 3;
const DONE = 4;

export interface FanoutOptions extends PhaseTimes {
  endpoint: Endpoint;
  fanout: FanoutSpec;
  /** Receivers of this thread, and the number of its first one. */
  receivers: number;
  firstReceiver: number;
  /** Whether the publisher is in this thread (as its connection 0). */
  publishes: boolean;
}

/** Channels as memcached keys; the value of one is the message stored last. */
export class ChannelData implements KeyValueWriter {
  private readonly bytes: number;
  /** Of the message that `writeValue` stores. */
  dueUs = 0;
  sentUs = 0;
  private view: DataView = new DataView(new ArrayBuffer(0));

  constructor(bytes: number) {
    this.bytes = Math.max(MESSAGE_HEAD_BYTES, bytes);
  }

  keyLength(channel: number): number {
    return channelName(channel).length;
  }

  valueBytesOf(): number {
    return this.bytes;
  }

  writeKey(u8: Uint8Array, offset: number, channel: number): number {
    const name = channelName(channel);
    for (let i = 0; i < name.length; i++) u8[offset + i] = name.charCodeAt(i);
    return offset + name.length;
  }

  writeValue(u8: Uint8Array, offset: number, _channel: number, bytes: number, number: number): number {
    if (this.view.buffer !== u8.buffer) this.view = new DataView(u8.buffer);
    const at = u8.byteOffset + offset;
    this.view.setUint32(at, number);
    this.view.setFloat64(at + 4, this.dueUs);
    this.view.setFloat64(at + 12, this.sentUs);
    u8.fill(120, offset + MESSAGE_HEAD_BYTES, offset + bytes);
    return offset + bytes;
  }

  checkValue(): boolean {
    return true;
  }
}

export function channelName(channel: number): string {
  return `cachelab:channel:${channel}`;
}

export class FanoutDriver implements ConnectionHandler, ConnectionEvents {
  readonly recorder: Recorder;
  readonly phases: Phases;
  aborted: string | null = null;
  bytesSent = 0;
  bytesReceived = 0;
  lastAnswerUs = 0;
  /** Measured messages sent by this thread, deliveries seen by it and deliveries that should have been. */
  private published = 0;
  private deliveries = 0;
  private expected = 0;

  private readonly loop: EventLoop;
  private readonly codec: Codec;
  private readonly data: ChannelData;
  private readonly arrival: Arrival;
  private readonly control: LoadControl;
  private readonly events: DriverEvents;
  private readonly options: FanoutOptions;
  private readonly polling: boolean;
  private readonly connections: Connections;
  private readonly ops: InFlight;
  private readonly key = new Uint32Array(1);
  /** Receivers: subscribed (pub/sub) and the last message seen (polling). */
  private readonly subscribed: Uint8Array;
  private readonly lastSeen: Float64Array;
  private readonly dirty: Int32Array;
  private dirtyCount = 0;
  private subscribedCount = 0;
  private stage = SETTING_UP;
  private nextDueUs = Number.POSITIVE_INFINITY;
  private nextNumber = 1;
  private firstMeasured = -1;
  private pollAtUs = Number.POSITIVE_INFINITY;
  private polls = 0;
  private heartbeatUs = 0;
  private drainEndUs = Number.POSITIVE_INFINITY;
  private lastProgressUs = 0;

  constructor(
    loop: EventLoop,
    codec: Codec,
    data: ChannelData,
    arrival: Arrival,
    control: LoadControl,
    recorder: Recorder,
    options: FanoutOptions,
    events: DriverEvents,
  ) {
    this.loop = loop;
    this.codec = codec;
    this.data = data;
    this.arrival = arrival;
    this.control = control;
    this.recorder = recorder;
    this.options = options;
    this.events = events;
    this.polling = options.endpoint.protocol !== 'redis';
    const count = options.receivers + this.publishers;
    this.connections = new Connections(count, loop, codec, options.endpoint, this);
    this.ops = new InFlight(count, PUBLISHES_IN_FLIGHT_MAX, 1);
    this.subscribed = new Uint8Array(count);
    this.lastSeen = new Float64Array(count);
    this.dirty = new Int32Array(count + PUBLISHES_IN_FLIGHT_MAX);
    this.phases = new Phases(options, recorder, events);
    loop.setHandler(this);
    loop.pollsBeforeDeadline = true;
    loop.deadlineUs = loop.nowUs();
  }

  /** 1 where this thread publishes; receivers are numbered behind it. */
  private get publishers(): number {
    return this.options.publishes ? 1 : 0;
  }

  private channelOf(i: number): number {
    return (this.options.firstReceiver + i - this.publishers) % this.options.fanout.channels;
  }

  // Connections

  onOpen(conn: number): void {
    this.connections.opened(conn);
  }

  onReady(i: number): void {
    if (this.polling || i < this.publishers) {
      this.subscriber(i);
      return;
    }
    const conn = this.connections.slot[i]!;
    const name = channelName(this.channelOf(i));
    this.loop.commit(conn, putSubscribe(this.loop.memory.u8, this.loop.reserve(conn, 128 + name.length), name));
  }

  /** A connection is in place: subscribed, where it must. */
  private subscriber(i: number): void {
    if (this.subscribed[i] === 1) return;
    this.subscribed[i] = 1;
    if (++this.subscribedCount < this.connections.count || this.stage !== SETTING_UP) return;
    this.stage = WAITING_FOR_GO;
    this.events.onReady();
  }

  onClose(conn: number, reason: number): void {
    if (this.stage !== DONE) this.connections.closed(conn, reason, true);
  }

  onLost(i: number, why: string): void {
    if (this.subscribed[i] === 1) this.subscribedCount--;
    this.subscribed[i] = 0;
    this.recorder.error(-1, `connection lost (${why})`);
    this.ops.clear(i);
  }

  onGone(why: string): void {
    this.giveUp(why);
  }

  onDirect(): void {}

  onReleased(): void {}

  // Input

  onInput(conn: number, start: number, end: number): number {
    if (this.stage === DONE) return end;
    const now = this.loop.nowUs();
    this.lastProgressUs = now;
    // Another thread may have published the first measured message already.
    if (now >= this.phases.intervalEndUs) this.phases.closeIntervals(now);
    const i = this.connections.at(conn);
    if (this.connections.isGreeting(i)) return this.connections.greet(i, start, end);
    this.connections.answered(i);
    const receives = !this.polling && i >= this.publishers;
    const at = receives ? this.onMessages(i, start, end, now) : this.onReplies(conn, i, start, end, now);
    if (this.phases.measuring) this.bytesReceived += at - start;
    return at;
  }

  /** What a subscriber is sent: the confirmation of its subscription, then messages. */
  private onMessages(i: number, start: number, end: number, now: number): number {
    const { u8 } = this.loop.memory;
    let at = start;
    while (at < end) {
      const found = findMessage(u8, at, end);
      if (found.next < 0) {
        this.recorder.error(DELIVERY, `not a message: "${textOf(u8, at, Math.min(end - at, 60))}"`);
        this.loop.close(this.connections.slot[i]!, false);
        return end;
      }
      if (found.next === 0) break;
      at = found.next;
      if (found.payloadAt === 0) this.subscriber(i);
      else this.delivered(u8, found.payloadAt, now);
    }
    return at;
  }

  private delivered(u8: Uint8Array, at: number, now: number): void {
    const view = this.loop.memory.view;
    const offset = u8.byteOffset + at;
    const dueUs = view.getFloat64(offset + 4);
    if (dueUs < this.phases.measureStartUs && this.phases.measuring) return;
    const sentUs = view.getFloat64(offset + 12);
    this.recorder.operation(DELIVERY, now - dueUs, now - sentUs);
    this.lastAnswerUs = now;
    if (this.phases.measuring) this.deliveries++;
  }

  /** Replies of the publisher, and those of receivers that poll. */
  private onReplies(conn: number, i: number, start: number, end: number, now: number): number {
    const { codec, ops, recorder } = this;
    const { u8 } = this.loop.memory;
    let at = start;
    while (at < end) {
      if (ops.count(i) === 0) {
        recorder.error(-1, `unasked: ${this.connections.unasked(conn, at, end)}`);
        return end;
      }
      const place = ops.oldest(i);
      const kind = ops.kind[place]!;
      const found = codec.parse(u8, at, end, kind === POLL ? OP_GET : OP_SET, 1, ops.seen[i]!);
      if (found === REPLY_INCOMPLETE) break;
      if (found === REPLY_BROKEN) {
        recorder.error(kind, `not a reply: "${textOf(u8, at, Math.min(end - at, 40))}"`);
        this.loop.close(conn, false);
        return end;
      }
      at = codec.nextAt;
      ops.seen[i]!++;
      if (found === REPLY_ERROR) recorder.error(kind, textOf(u8, codec.textAt, codec.textBytes));
      if (found === REPLY_HIT) this.polled(i, u8, codec.valueAt, now);
      if (!codec.last) continue;
      const due = ops.due[place]!;
      if (found !== REPLY_ERROR && (due >= this.phases.measureStartUs || !this.phases.measuring)) {
        recorder.aside(kind, now - due, now - ops.sent[place]!);
      }
      ops.shiftOldest(i);
    }
    return at;
  }

  /** A poll was answered with a message: new, or seen before? */
  private polled(i: number, u8: Uint8Array, at: number, now: number): void {
    const number = this.loop.memory.view.getUint32(u8.byteOffset + at);
    // Unequal, not larger: an earlier run may have left a message with a higher number.
    if (number === this.lastSeen[i]!) return;
    this.lastSeen[i] = number;
    this.delivered(u8, at, now);
  }

  // Sending

  private sendDue(now: number): void {
    while (this.nextDueUs <= now && this.ops.count(0) < PUBLISHES_IN_FLIGHT_MAX && this.connections.isReady(0)) {
      if (this.nextDueUs >= this.phases.endUs) {
        this.endPublishing();
        return;
      }
      this.publish(this.nextDueUs);
      this.nextDueUs = this.phases.startUs + this.arrival.nextDueUs();
    }
  }

  private endPublishing(): void {
    this.nextDueUs = Number.POSITIVE_INFINITY;
    this.control.published(this.firstMeasured < 0 ? this.nextNumber : this.firstMeasured, this.nextNumber);
  }

  private publish(dueUs: number): void {
    const { u8 } = this.loop.memory;
    const number = this.nextNumber++;
    const channel = number % this.options.fanout.channels;
    if (dueUs >= this.phases.measureStartUs) {
      if (this.firstMeasured < 0) this.firstMeasured = number;
      this.published++;
    }
    this.data.dueUs = dueUs;
    this.data.sentUs = this.loop.nowUs();
    const conn = this.connections.slot[0]!;
    const bytes = this.data.valueBytesOf();
    let at = this.loop.reserve(conn, this.codec.room(OP_SET, 1, bytes));
    const start = at;
    if (this.polling) at = this.encode(at, OP_SET, channel, bytes, number);
    else {
      at = putPublish(u8, at, channelName(channel), bytes);
      at = this.data.writeValue(u8, at, channel, bytes, number);
      u8[at++] = 13;
      u8[at++] = 10;
    }
    this.sent(0, conn, start, at, PUBLISH, dueUs);
  }

  private encode(at: number, kind: number, channel: number, bytes: number, number: number): number {
    this.key[0] = channel;
    return this.codec.encode(this.loop.memory.u8, at, kind, this.key, 0, 1, bytes, 0, number);
  }

  private sent(i: number, conn: number, start: number, end: number, kind: number, dueUs: number): void {
    this.loop.commit(conn, end);
    if (this.phases.measuring) this.bytesSent += end - start;
    const place = this.ops.push(i);
    this.ops.kind[place] = kind;
    this.ops.due[place] = dueUs;
    this.dirty[this.dirtyCount++] = i;
  }

  /** Polls in turn: with N receivers, one is due every N-th part of the interval. One whose last poll is unanswered is passed over. */
  private sendPolls(now: number): void {
    const { receivers, fanout } = this.options;
    const stepUs = (fanout.pollIntervalMs * 1_000) / receivers;
    while (this.pollAtUs <= now) {
      const i = this.publishers + (this.polls % receivers);
      const dueUs = this.pollAtUs;
      this.polls++;
      this.pollAtUs = this.phases.startUs + this.polls * stepUs;
      if (this.ops.count(i) > 0 || !this.connections.isReady(i)) continue;
      const conn = this.connections.slot[i]!;
      const start = this.loop.reserve(conn, this.codec.room(OP_GET, 1, 0));
      this.sent(i, conn, start, this.encode(start, OP_GET, this.channelOf(i), 0, 0), POLL, dueUs);
    }
  }

  private stamp(): void {
    const now = this.loop.nowUs();
    for (let n = 0; n < this.dirtyCount; n++) {
      const i = this.dirty[n]!;
      const place = this.ops.unstamped(i);
      if (place < 0) continue;
      if (i < this.publishers && this.phases.measuring) this.recorder.sendLag(now - this.ops.due[place]!);
      this.ops.stamp(i, now);
    }
    this.dirtyCount = 0;
  }

  // Phases

  onTurn(): void {
    const now = this.loop.nowUs();
    if (now >= this.heartbeatUs) this.beat(now);
    if (this.stage === RUNNING || this.stage === DRAINING) {
      if (now >= this.phases.intervalEndUs) this.phases.closeIntervals(now);
      if (this.nextDueUs <= now) this.sendDue(now);
      if (this.pollAtUs <= now) this.sendPolls(now);
      if (this.stage === RUNNING && now >= this.phases.endUs && this.control.isPublished) {
        this.stage = DRAINING;
        this.drainEndUs = now + DELIVERY_MS_MAX * 1_000;
      }
      if (this.stage === DRAINING) this.finishIfDelivered(now);
    }
    if (this.dirtyCount > 0) this.stamp();
    if (this.stage === DONE) return;
    this.loop.deadlineUs = Math.min(this.heartbeatUs, this.phases.intervalEndUs, this.nextDueUs, this.pollAtUs);
  }

  private beat(now: number): void {
    if (this.stage === DONE) return;
    const { state, startUs } = this.control;
    if (state === ABORT) {
      this.giveUp('aborted');
      return;
    }
    if (this.stage === WAITING_FOR_GO && state === GO && now >= startUs) {
      this.stage = RUNNING;
      this.lastProgressUs = startUs;
      this.phases.begin(startUs);
      this.lastAnswerUs = startUs;
      if (this.options.publishes) this.nextDueUs = startUs + this.arrival.nextDueUs();
      if (this.polling && this.options.receivers > 0) this.pollAtUs = startUs;
    }
    this.connections.openSome(now);
    this.heartbeatUs = now + (this.stage <= WAITING_FOR_GO ? START_POLL_MS : HEARTBEAT_MS) * 1_000;
    // The publisher's thread always waits for something; the others may have nothing to receive for long.
    if (this.stage === RUNNING && this.options.publishes && now - this.lastProgressUs > REPLY_TIMEOUT_MS * 1_000) {
      if (this.ops.count(0) > 0) {
        const target = addressText(this.options.endpoint);
        this.giveUp(`The target at ${target} has not replied for ${REPLY_TIMEOUT_MS / 1000} s`);
      }
    }
  }

  private finishIfDelivered(now: number): void {
    const { control, options } = this;
    const { channels, pollIntervalMs } = options.fanout;
    let expected = 0;
    for (let i = this.publishers; i < this.connections.count; i++) {
      expected += messagesOf(this.channelOf(i), channels, control.firstMessage, control.afterLastMessage);
    }
    this.expected = expected;
    const acknowledged = !options.publishes || this.ops.count(0) === 0;
    // Who polls sees the last version within one interval; what it has not seen by then was overwritten.
    const polled = this.polling && now > this.phases.endUs + 2_000 * pollIntervalMs + 100_000;
    if (acknowledged && (this.deliveries >= expected || polled)) this.finish();
    else if (now > this.drainEndUs) {
      if (!acknowledged) this.recorder.error(PUBLISH, 'a message was not acknowledged', this.ops.count(0));
      this.finish();
    }
  }

  counts(): { published: number; deliveries: number; expected: number } {
    return { published: this.published, deliveries: this.deliveries, expected: this.expected };
  }

  giveUp(why: string): void {
    if (this.stage === DONE) return;
    this.aborted ??= why;
    this.expected = Math.max(this.expected, this.deliveries);
    this.finish();
  }

  private finish(): void {
    this.phases.finish();
    this.stage = DONE;
    this.loop.deadlineUs = Number.POSITIVE_INFINITY;
    this.loop.stop();
  }
}

/** @returns how many message numbers from `first` to `afterLast - 1` go to a channel */
export function messagesOf(channel: number, channels: number, first: number, afterLast: number): number {
  const upTo = (n: number): number => Math.floor((n - 1 - channel) / channels) + 1;
  return Math.max(0, upTo(afterLast) - upTo(first));
}
