/**
 * The recorder of one driver thread: latencies by kind of operation, response and service apart, and the counters that go with them;
 * plus the response times of the interval that is running. What it holds is posted to the main thread as plain data and
 * merged there.
 */
import type { LatencySummary, OperationLatency, TimelineRow } from '../result.ts';
import { LatencyCounts, type SparseCounts, timelineRow } from './latency-counts.ts';

/** Distinct error texts kept; all others are counted under `OTHER_ERRORS`. */
export const ERROR_TEXTS_MAX = 20;
export const OTHER_ERRORS = '(other errors)';

/** What one thread has seen in one interval. */
export interface IntervalCounts {
  /** Number of the interval, from 0. */
  index: number;
  responses: SparseCounts;
  errors: number;
  hits: number;
  misses: number;
}

/** All that one thread has recorded in the measured phase. */
export interface RecorderTotals {
  kinds: { kind: string; errors: number; response: SparseCounts; service: SparseCounts }[];
  user: SparseCounts | null;
  sendLag: SparseCounts | null;
  hits: number;
  misses: number;
  originRequests: number;
  checked: number;
  wrong: number;
  errors: number;
  errorTexts: Record<string, number>;
}

/** Creates a recorder for the kinds named; a kind is then an index into that list. */
export class Recorder {
  readonly kinds: readonly string[];
  private readonly response: LatencyCounts[];
  private readonly service: LatencyCounts[];
  private readonly kindErrors: Float64Array;
  private readonly user = new LatencyCounts();
  private readonly lag = new LatencyCounts();
  private readonly interval = new LatencyCounts();
  private readonly errorTexts = new Map<string, number>();
  private intervalErrors = 0;
  private intervalHits = 0;
  private intervalMisses = 0;
  hits = 0;
  misses = 0;
  originRequests = 0;
  checked = 0;
  wrong = 0;
  errors = 0;

  constructor(kinds: readonly string[]) {
    this.kinds = kinds;
    this.response = kinds.map(() => new LatencyCounts());
    this.service = kinds.map(() => new LatencyCounts());
    this.kindErrors = new Float64Array(kinds.length);
  }

  /** Counts an answered operation; times in µs. */
  operation(kind: number, responseUs: number, serviceUs: number): void {
    this.response[kind]!.record(responseUs);
    this.service[kind]!.record(serviceUs);
    this.interval.record(responseUs);
  }

  /** Counts an answered operation that the time series leaves out (what it shows are deliveries, say). */
  aside(kind: number, responseUs: number, serviceUs: number): void {
    this.response[kind]!.record(responseUs);
    this.service[kind]!.record(serviceUs);
  }

  hit(keys: number): void {
    this.hits += keys;
    this.intervalHits += keys;
  }

  miss(keys: number): void {
    this.misses += keys;
    this.intervalMisses += keys;
  }

  /** Latency in µs that a user of the cache has seen. */
  userLatency(us: number): void {
    this.user.record(us);
  }

  /** How much later than due an operation was written, in µs. */
  sendLag(us: number): void {
    this.lag.record(us);
  }

  /** @param kind index of the operation's kind, or -1 where it belongs to none */
  error(kind: number, text: string, count = 1): void {
    if (kind >= 0) this.kindErrors[kind]! += count;
    this.errors += count;
    this.intervalErrors += count;
    countText(this.errorTexts, text, count);
  }

  /** Operations recorded. */
  get operations(): number {
    let sum = 0;
    for (const counts of this.response) sum += counts.count;
    return sum;
  }

  /** Closes the running interval and starts the next. */
  takeInterval(index: number): IntervalCounts {
    const taken = {
      index,
      responses: this.interval.toSparse(),
      errors: this.intervalErrors,
      hits: this.intervalHits,
      misses: this.intervalMisses,
    };
    this.interval.reset();
    this.intervalErrors = 0;
    this.intervalHits = 0;
    this.intervalMisses = 0;
    return taken;
  }

  /** Forgets everything recorded so far (the end of the warm-up). */
  reset(): void {
    for (const counts of this.response) counts.reset();
    for (const counts of this.service) counts.reset();
    this.user.reset();
    this.lag.reset();
    this.interval.reset();
    this.kindErrors.fill(0);
    this.errorTexts.clear();
    this.intervalErrors = 0;
    this.intervalHits = 0;
    this.intervalMisses = 0;
    this.hits = 0;
    this.misses = 0;
    this.originRequests = 0;
    this.checked = 0;
    this.wrong = 0;
    this.errors = 0;
  }

  totals(): RecorderTotals {
    return {
      kinds: this.kinds.map((kind, i) => ({
        kind,
        errors: this.kindErrors[i]!,
        response: this.response[i]!.toSparse(),
        service: this.service[i]!.toSparse(),
      })),
      user: this.user.count > 0 ? this.user.toSparse() : null,
      sendLag: this.lag.count > 0 ? this.lag.toSparse() : null,
      hits: this.hits,
      misses: this.misses,
      originRequests: this.originRequests,
      checked: this.checked,
      wrong: this.wrong,
      errors: this.errors,
      errorTexts: Object.fromEntries(this.errorTexts),
    };
  }
}

function countText(texts: Map<string, number>, text: string, count: number): void {
  const known = texts.has(text) || texts.size < ERROR_TEXTS_MAX - 1;
  const key = known ? text : OTHER_ERRORS;
  texts.set(key, (texts.get(key) ?? 0) + count);
}

/** The figures of a load report that come from recorders. */
export interface MergedTotals {
  operations: number;
  errors: number;
  errorTexts: Record<string, number>;
  /** By kind, and the sum as kind "all". */
  latency: OperationLatency[];
  hits: number;
  misses: number;
  originRequests: number;
  /** null without cache-aside. */
  userLatency: LatencySummary | null;
  sendLag: LatencySummary | null;
  verified: { checked: number; wrong: number };
}

/** Merges what the threads recorded. Kinds without operations and errors are left out; the sum comes last as kind "all". */
export function mergeTotals(threads: readonly RecorderTotals[]): MergedTotals {
  const kinds = new Map<string, { errors: number; response: LatencyCounts; service: LatencyCounts }>();
  const all = { errors: 0, response: new LatencyCounts(), service: new LatencyCounts() };
  const texts = new Map<string, number>();
  const user = new LatencyCounts();
  const lag = new LatencyCounts();
  const merged = { hits: 0, misses: 0, originRequests: 0, checked: 0, wrong: 0 };
  for (const thread of threads) {
    for (const kind of thread.kinds) {
      let into = kinds.get(kind.kind);
      if (into === undefined) {
        into = { errors: 0, response: new LatencyCounts(), service: new LatencyCounts() };
        kinds.set(kind.kind, into);
      }
      for (const target of [into, all]) {
        target.response.addSparse(kind.response);
        target.service.addSparse(kind.service);
      }
      into.errors += kind.errors;
    }
    all.errors += thread.errors;
    for (const [text, count] of Object.entries(thread.errorTexts)) countText(texts, text, count);
    if (thread.user) user.addSparse(thread.user);
    if (thread.sendLag) lag.addSparse(thread.sendLag);
    merged.hits += thread.hits;
    merged.misses += thread.misses;
    merged.originRequests += thread.originRequests;
    merged.checked += thread.checked;
    merged.wrong += thread.wrong;
  }
  const latency: OperationLatency[] = [];
  for (const [kind, counts] of [...kinds, ['all', all] as const]) {
    if (kind !== 'all' && counts.response.count === 0 && counts.errors === 0) continue;
    latency.push({
      kind,
      count: counts.response.count,
      errors: counts.errors,
      response: counts.response.summary(),
      service: counts.service.summary(),
    });
  }
  return {
    operations: all.response.count,
    errors: all.errors,
    errorTexts: Object.fromEntries(texts),
    latency,
    hits: merged.hits,
    misses: merged.misses,
    originRequests: merged.originRequests,
    userLatency: user.count > 0 ? user.summary() : null,
    sendLag: lag.count > 0 ? lag.summary() : null,
    verified: { checked: merged.checked, wrong: merged.wrong },
  };
}

/**
 * Collects the intervals of several threads; a row is ready when every thread has reported that interval.
 */
export class TimelineMerger {
  private readonly threads: number;
  private readonly intervalS: number;
  private readonly open = new Map<number, { seen: number; responses: LatencyCounts; sums: [number, number, number] }>();
  readonly rows: TimelineRow[] = [];

  /** @param intervalS length of an interval in seconds */
  constructor(threads: number, intervalS: number) {
    this.threads = threads;
    this.intervalS = intervalS;
  }

  /** @returns the finished row when this was the last thread to report its interval, else null */
  add(interval: IntervalCounts): TimelineRow | null {
    let entry = this.open.get(interval.index);
    if (entry === undefined) {
      entry = { seen: 0, responses: new LatencyCounts(), sums: [0, 0, 0] };
      this.open.set(interval.index, entry);
    }
    entry.seen++;
    entry.responses.addSparse(interval.responses);
    entry.sums[0] += interval.errors;
    entry.sums[1] += interval.hits;
    entry.sums[2] += interval.misses;
    return entry.seen === this.threads ? this.close(interval.index) : null;
  }

  /** Closes what is left, in order (threads that died have not reported all intervals). */
  finish(): TimelineRow[] {
    for (const index of [...this.open.keys()].sort((a, b) => a - b)) this.close(index);
    this.rows.sort((a, b) => a.t - b.t);
    return this.rows;
  }

  private close(index: number): TimelineRow {
    const entry = this.open.get(index)!;
    this.open.delete(index);
    const t = Number(((index + 1) * this.intervalS).toFixed(6));
    const row = timelineRow(t, entry.responses, ...entry.sums);
    this.rows.push(row);
    return row;
  }
}
