/**
 * Drives a load through a client library, as an application would: promises on Node's own loop, in one thread. The plan means the same as
 * for the raw driver; "pipeline" is how many operations an application has on its way on a connection at once.
 *
 * A library does not tell when a request leaves, so service time counts from the call. Node's timers are no finer than a millisecond;
 * the last one before an operation is due is spent spinning, so a busy open loop keeps its thread busy.
 */
import { nowUs } from '../../engines/io/now.ts';
import type { Arrival } from '../arrival/arrival.ts';
import type { Recorder } from '../measure/recorder.ts';
import {
  OP_ADD,
  OP_APPEND,
  OP_DELETE,
  OP_GET,
  OP_INCR,
  OP_MGET,
  OP_MSET,
  OP_REPLACE,
  OP_SET,
  OP_TOUCH,
} from '../workload/operation.ts';
import type { CacheClient } from './cache-client.ts';
import { addressText } from './connections.ts';
import { ABORT, GO, type LoadControl } from './control.ts';
import { type DriverEvents, Phases } from './phases.ts';
import { BACKLOG_MS_MAX, DRAIN_MS_MAX, KIND_FILL, type OperationSource, REPLY_TIMEOUT_MS } from './raw-driver.ts';
import type { WorkOptions } from './thread-work.ts';

/** Connections opened at the same time. */
const CONNECTING_MAX = 64;
const TICK_MS = 5;
/** No reply for so long while connections are lost for good: the target is gone. */
const GONE_MS = 1_000;
/** A failed operation is followed by the next after this pause, so that a dead target is not asked in a tight loop. */
const FAILURE_PAUSE_MS = 20;
const SPIN_US = 1_500;

/** One operation, drawn. */
interface Operation {
  kind: number;
  keys: number[];
  valueBytes: number;
  ttlS: number;
  version: number;
  dueUs: number;
}

export class ClientDriver {
  readonly recorder: Recorder;
  readonly phases: Phases;
  aborted: string | null = null;
  bytesSent = 0;
  bytesReceived = 0;
  lastAnswerUs = 0;

  private readonly connect: () => Promise<CacheClient>;
  private readonly source: OperationSource;
  private readonly arrival: Arrival;
  private readonly control: LoadControl;
  private readonly options: WorkOptions;
  private readonly events: DriverEvents;
  private readonly clients: CacheClient[] = [];
  private readonly scratch = Buffer.alloc(2_048);
  private quota: number;
  private inFlight = 0;
  private verifyDebt = 0;
  private ended = false;
  private lastProgressUs = 0;
  /** Open loop: clients with a free place, the one that has been free the longest first. */
  private readonly free: { client: CacheClient; sinceUs: number }[] = [];
  private nextDueUs = Number.POSITIVE_INFINITY;
  private resolveEnd: () => void = () => {};

  constructor(
    connect: () => Promise<CacheClient>,
    source: OperationSource,
    arrival: Arrival,
    control: LoadControl,
    recorder: Recorder,
    options: WorkOptions,
    events: DriverEvents,
  ) {
    this.connect = connect;
    this.source = source;
    this.arrival = arrival;
    this.control = control;
    this.recorder = recorder;
    this.options = options;
    this.events = events;
    this.phases = new Phases(options, recorder, {
      onReady: () => events.onReady(),
      onInterval: (phase, counts) => events.onInterval(phase, counts),
      onMeasure: () => {
        this.countTraffic(-1);
        events.onMeasure();
      },
    });
    this.quota = options.operations > 0 ? options.operations : Number.POSITIVE_INFINITY;
  }

  /** Runs the whole load; never rejects: see `aborted`. */
  async run(): Promise<void> {
    try {
      await this.openAll();
      this.events.onReady();
      await this.untilGo();
      if (!this.ended) await this.load();
    } catch (error) {
      this.giveUp((error as Error).message);
    }
    for (const client of this.clients) client.close();
  }

  giveUp(why: string): void {
    this.aborted ??= why;
    this.end();
  }

  private async openAll(): Promise<void> {
    const { connections } = this.options;
    while (this.clients.length < connections && !this.ended) {
      const count = Math.min(CONNECTING_MAX, connections - this.clients.length);
      const opened = await Promise.allSettled(Array.from({ length: count }, () => this.connect()));
      for (const one of opened) if (one.status === 'fulfilled') this.clients.push(one.value);
      const failed = opened.find((one) => one.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
      if (this.control.state === ABORT) this.giveUp('aborted');
    }
  }

  private async untilGo(): Promise<void> {
    while (!this.ended) {
      if (this.control.state === ABORT) this.giveUp('aborted');
      else if (this.control.state === GO && nowUs() >= this.control.startUs) return;
      else await sleep(1);
    }
  }

  private async load(): Promise<void> {
    const { startUs } = this.control;
    this.lastProgressUs = startUs;
    this.phases.begin(startUs);
    this.lastAnswerUs = this.phases.measureStartUs;
    const over = new Promise<void>((resolve) => {
      this.resolveEnd = resolve;
    });
    const ticker = setInterval(() => this.tick(nowUs()), TICK_MS);
    if (this.arrival.open) {
      for (let place = 0; place < this.options.depth; place++) {
        for (const client of this.clients) this.free.push({ client, sinceUs: startUs });
      }
      this.nextDueUs = startUs + this.arrival.nextDueUs();
      void this.dispatch();
    } else {
      for (const client of this.clients) {
        for (let user = 0; user < this.options.depth; user++) void this.user(client);
      }
    }
    await over;
    clearInterval(ticker);
    this.countTraffic(1);
    this.phases.finish();
  }

  private countTraffic(sign: number): void {
    for (const client of this.clients) {
      const { sent, received } = client.traffic();
      this.bytesSent += sign * sent;
      this.bytesReceived += sign * received;
    }
    // A connection that was opened again counts from zero.
    this.bytesSent = sign > 0 ? Math.max(0, this.bytesSent) : this.bytesSent;
    this.bytesReceived = sign > 0 ? Math.max(0, this.bytesReceived) : this.bytesReceived;
  }

  private tick(now: number): void {
    if (this.ended) return;
    if (now >= this.phases.intervalEndUs) this.phases.closeIntervals(now);
    if (this.control.state === ABORT) this.giveUp('aborted');
    const quiet = now - this.lastProgressUs;
    const target = addressText(this.options.endpoint);
    if (quiet > GONE_MS * 1_000 && this.clients.every((client) => !client.alive)) {
      this.giveUp(`The target at ${target} is gone: its connections were lost and could not be opened again`);
    } else if (this.inFlight > 0 && quiet > REPLY_TIMEOUT_MS * 1_000) {
      this.giveUp(`The target at ${target} has not replied for ${REPLY_TIMEOUT_MS / 1_000} s`);
    }
    this.endIfOver(now);
  }

  private endIfOver(now: number): void {
    const { endUs } = this.phases;
    const issued = this.quota === 0 || (now >= endUs && (!this.arrival.open || this.nextDueUs >= endUs));
    if (issued && this.inFlight === 0) this.end();
    else if (now >= endUs + DRAIN_MS_MAX * 1_000) {
      const text = `not answered within ${DRAIN_MS_MAX / 1_000} s after the end of the load`;
      if (this.inFlight > 0) this.recorder.error(-1, text, this.inFlight);
      this.end();
    }
  }

  private end(): void {
    if (this.ended) return;
    this.ended = true;
    this.resolveEnd();
  }

  /** Draws the next operation, or null when the load is over. */
  private draw(dueUs: number): Operation | null {
    if (this.ended || dueUs >= this.phases.endUs) return null;
    if (dueUs >= this.phases.measureStartUs) {
      if (this.quota === 0) return null;
      this.quota--;
    }
    const { source } = this;
    source.next();
    const keys = Array.from(source.keyIndexes.subarray(0, source.keyCount));
    const { kind, valueBytes, ttlSeconds: ttlS, version } = source;
    return { kind, keys, valueBytes, ttlS, version, dueUs };
  }

  /** Closed loop: one user of a connection, asking again as soon as answered. */
  private async user(client: CacheClient): Promise<void> {
    for (;;) {
      const operation = this.draw(nowUs());
      if (operation === null) break;
      if (!(await this.perform(client, operation, true))) await sleep(FAILURE_PAUSE_MS);
    }
    this.endIfOver(nowUs());
  }

  /** Open loop: hands out what is due to free places. */
  private async dispatch(): Promise<void> {
    while (!this.ended && this.nextDueUs < this.phases.endUs && this.quota > 0) {
      const now = nowUs();
      while (this.nextDueUs <= now && this.free.length > 0 && this.nextDueUs < this.phases.endUs) {
        const { client, sinceUs } = this.free.shift()!;
        const operation = this.draw(this.nextDueUs);
        this.nextDueUs = this.phases.startUs + this.arrival.nextDueUs();
        if (operation === null) break;
        if (this.phases.measuring) this.recorder.sendLag(nowUs() - Math.max(operation.dueUs, sinceUs));
        void this.perform(client, operation, false).then(() => this.free.push({ client, sinceUs: nowUs() }));
      }
      if (now - this.nextDueUs > BACKLOG_MS_MAX * 1_000) {
        this.giveUp(`Overloaded: operations wait more than ${BACKLOG_MS_MAX / 1_000} s for a free connection`);
      }
      const wait = this.nextDueUs - nowUs();
      if (wait > SPIN_US) await sleep(Math.floor((wait - SPIN_US) / 1_000) + 1);
      else await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /**
   * Sends an operation, records its outcome, fills what it missed.
   * @param untilFilled closed loop: the user waits for the fill as well
   * @returns whether it succeeded
   */
  private async perform(client: CacheClient, operation: Operation, untilFilled: boolean): Promise<boolean> {
    const calledUs = nowUs();
    this.inFlight++;
    let values: (Buffer | null)[] | null = null;
    try {
      values = await this.call(client, operation);
    } catch (error) {
      this.inFlight--;
      if (this.counts(operation.dueUs)) this.recorder.error(operation.kind, (error as Error).message);
      return false;
    }
    const now = nowUs();
    this.lastProgressUs = now;
    if (now >= this.phases.intervalEndUs) this.phases.closeIntervals(now);
    const counted = this.counts(operation.dueUs);
    if (counted) {
      this.recorder.operation(operation.kind, now - operation.dueUs, now - calledUs);
      this.lastAnswerUs = now;
    }
    let filled: Promise<void> | null = null;
    if (values !== null) filled = this.onValues(client, operation, values, now, counted);
    this.inFlight--;
    if (untilFilled && filled !== null) await filled;
    return true;
  }

  private counts(dueUs: number): boolean {
    return !this.ended && (dueUs >= this.phases.measureStartUs || !this.phases.measuring);
  }

  private onValues(
    client: CacheClient,
    operation: Operation,
    values: (Buffer | null)[],
    now: number,
    counted: boolean,
  ): Promise<void> | null {
    const { origin } = this.options;
    const { recorder } = this;
    const fills: Promise<void>[] = [];
    let longest = 0;
    for (let n = 0; n < values.length; n++) {
      const value = values[n]!;
      const key = operation.keys[n]!;
      if (value !== null) {
        if (counted) recorder.hit(1);
        this.check(operation.kind, key, value, counted);
        continue;
      }
      if (counted) recorder.miss(1);
      if (origin === null) continue;
      const wait = origin.nextUs();
      longest = Math.max(longest, wait);
      if (counted) recorder.originRequests++;
      fills.push(this.fill(client, key, wait));
    }
    if (origin !== null && counted) recorder.userLatency(now - operation.dueUs + longest);
    return fills.length === 0 ? null : Promise.all(fills).then(() => {});
  }

  private async fill(client: CacheClient, key: number, waitUs: number): Promise<void> {
    const dueUs = nowUs() + waitUs;
    if (waitUs > 0) await sleep(waitUs / 1_000);
    // What still waits for the origin at the end is let go.
    if (this.ended || nowUs() >= this.phases.endUs) return;
    const valueBytes = this.source.dataset.valueBytesOf(key);
    const ttlS = this.source.fillTtlSeconds();
    await this.perform(client, { kind: KIND_FILL, keys: [key], valueBytes, ttlS, version: 0, dueUs }, false);
  }

  private check(kind: number, key: number, value: Buffer, counted: boolean): void {
    this.verifyDebt += this.options.verify;
    if (this.verifyDebt < 1) return;
    this.verifyDebt -= 1;
    const right = this.source.dataset.checkValue(value, 0, value.length, key);
    if (!counted) return;
    this.recorder.checked++;
    if (right) return;
    this.recorder.wrong++;
    const begin = value.toString('latin1', 0, 24);
    this.recorder.error(kind, `wrong value of key number ${key}: ${value.length} bytes, beginning "${begin}"`);
  }

  /** @returns the values of a get or mget, null for other operations */
  private async call(client: CacheClient, operation: Operation): Promise<(Buffer | null)[] | null> {
    const { kind, keys, ttlS, valueBytes } = operation;
    const key = this.key(keys[0]!);
    switch (kind) {
      case OP_GET:
        return [await client.get(key)];
      case OP_MGET:
        return client.mget(keys.map((index) => this.key(index)));
      case OP_SET:
      case KIND_FILL:
        await client.set(key, this.value(operation, keys[0]!, valueBytes), ttlS);
        return null;
      case OP_ADD:
        await client.add(key, this.value(operation, keys[0]!, valueBytes), ttlS);
        return null;
      case OP_REPLACE:
        await client.replace(key, this.value(operation, keys[0]!, valueBytes), ttlS);
        return null;
      case OP_APPEND:
        await client.append(key, this.value(operation, keys[0]!, valueBytes));
        return null;
      case OP_DELETE:
        await client.delete(key);
        return null;
      case OP_TOUCH:
        await client.touch(key, ttlS);
        return null;
      case OP_INCR:
        await client.incr(key);
        return null;
      case OP_MSET: {
        const values = keys.map((index) => this.value(operation, index, this.source.dataset.valueBytesOf(index)));
        await client.mset(
          keys.map((index) => this.key(index)),
          values,
          ttlS,
        );
        return null;
      }
      default:
        throw new RangeError(`Cannot send operation ${kind} through a client library`);
    }
  }

  private key(index: number): string {
    return this.scratch.toString('latin1', 0, this.source.dataset.writeKey(this.scratch, 0, index));
  }

  private value(operation: Operation, index: number, bytes: number): Buffer {
    const value = Buffer.allocUnsafe(bytes);
    this.source.dataset.writeValue(value, 0, index, bytes, operation.version);
    return value;
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
