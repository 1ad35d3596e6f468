/**
 * Delays worth remembering: whatever took at least `latency-monitor-threshold` ms, by kind of event, the worst of each second. Read with
 * LATENCY. A server without a threshold pays one comparison a command.
 */
import type { RedisCore } from './redis-core.ts';

/** Seconds with a delay that are kept of each event. */
const SAMPLES = 160;

/** The delays of one kind of event. */
export class LatencySeries {
  /** Seconds since the epoch and ms, as a ring; a time of 0: no sample. */
  private readonly times = new Float64Array(SAMPLES);
  private readonly delays = new Float64Array(SAMPLES);
  private next = 0;
  /** The worst since the last reset, in ms. */
  max = 0;

  add(unixtime: number, delayMs: number): void {
    if (delayMs > this.max) this.max = delayMs;
    const last = (this.next + SAMPLES - 1) % SAMPLES;
    if (this.times[last] === unixtime) {
      if (delayMs > this.delays[last]) this.delays[last] = delayMs;
      return;
    }
    this.times[this.next] = unixtime;
    this.delays[this.next] = delayMs;
    this.next = (this.next + 1) % SAMPLES;
  }

  /** All samples, oldest first. */
  samples(): { unixtime: number; delayMs: number }[] {
    const all: { unixtime: number; delayMs: number }[] = [];
    for (let i = 0; i < SAMPLES; i++) {
      const at = (this.next + i) % SAMPLES;
      if (this.times[at] !== 0) all.push({ unixtime: this.times[at], delayMs: this.delays[at] });
    }
    return all;
  }
}

export class LatencyMonitor {
  private readonly core: RedisCore;
  /** By name of the event. */
  readonly series = new Map<string, LatencySeries>();

  constructor(core: RedisCore) {
    this.core = core;
  }

  /** The moment at which something begins that may take long, for `end`; no clock is read while nobody wants to know. */
  begin(): number {
    return this.core.latencyThresholdUs === Number.POSITIVE_INFINITY ? -1 : this.core.clock.monoUs();
  }

  /** Enters how long it has taken since `begin` told the moment. */
  end(event: string, begunUs: number): void {
    if (begunUs >= 0) this.add(event, this.core.clock.monoUs() - begunUs);
  }

  /** Enters a delay if it is long enough. */
  add(event: string, durationUs: number): void {
    if (durationUs < this.core.latencyThresholdUs) return;
    let series = this.series.get(event);
    if (series === undefined) this.series.set(event, (series = new LatencySeries()));
    series.add(Math.floor(this.core.clock.wallMs() / 1000), Math.floor(durationUs / 1000));
  }

  /** Forgets one event. @returns whether there was such */
  reset(event: string): boolean {
    return this.series.delete(event);
  }
}
