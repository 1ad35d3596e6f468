/** The phases of a load in one driver thread (warm-up, measured phase, end) and the intervals of its time series. */
import type { IntervalCounts, Recorder } from '../measure/recorder.ts';

/** What a driver tells whoever runs it, in the loop's thread. */
export interface DriverEvents {
  /** All connections are ready. */
  onReady(): void;
  /** The measured phase begins. */
  onMeasure(): void;
  onInterval(phase: 'warm-up' | 'measure', counts: IntervalCounts): void;
}

export interface PhaseTimes {
  warmUpS: number;
  /** Seconds of the measured phase; Infinity where a number of operations ends it. */
  durationS: number;
  intervalMs: number;
}

export class Phases {
  /** All in µs of `nowUs`; Infinity before `begin`. */
  startUs = Number.POSITIVE_INFINITY;
  measureStartUs = Number.POSITIVE_INFINITY;
  endUs = Number.POSITIVE_INFINITY;
  /** When `closeIntervals` wants to be called next. */
  intervalEndUs = Number.POSITIVE_INFINITY;
  /** Whether the measured phase has begun. */
  measuring = false;
  private index = 0;
  private lastExtended = false;
  private readonly times: PhaseTimes;
  private readonly stepUs: number;
  private readonly recorder: Recorder;
  private readonly events: DriverEvents;

  constructor(times: PhaseTimes, recorder: Recorder, events: DriverEvents) {
    this.times = times;
    this.stepUs = times.intervalMs * 1_000;
    this.recorder = recorder;
    this.events = events;
  }

  begin(startUs: number): void {
    this.startUs = startUs;
    this.measureStartUs = startUs + this.times.warmUpS * 1e6;
    this.endUs = this.measureStartUs + this.times.durationS * 1e6;
    this.measuring = this.times.warmUpS === 0;
    if (this.measuring) this.events.onMeasure();
    this.intervalEndUs = startUs + this.stepUs;
    if (!this.measuring) this.intervalEndUs = Math.min(this.intervalEndUs, this.measureStartUs);
  }

  /** Closes the intervals that are over; the warm-up's last one ends where the measured phase begins. */
  closeIntervals(now: number): void {
    while (now >= this.intervalEndUs) {
      if (this.measuring && !this.lastExtended && this.intervalEndUs >= this.endUs - 1) {
        // What is drained right after the end belongs to the last whole interval, not to one of its own.
        this.lastExtended = true;
        this.intervalEndUs = this.endUs + this.stepUs / 2;
        continue;
      }
      this.events.onInterval(this.measuring ? 'measure' : 'warm-up', this.recorder.takeInterval(this.index++));
      if (!this.measuring && this.intervalEndUs >= this.measureStartUs) {
        this.measuring = true;
        this.events.onMeasure();
        this.recorder.reset();
        this.index = 0;
      }
      const phaseStart = this.measuring ? this.measureStartUs : this.startUs;
      const next = phaseStart + (this.index + 1) * this.stepUs;
      this.intervalEndUs = this.measuring ? next : Math.min(next, this.measureStartUs);
    }
  }

  /** Hands over what was recorded since the last whole interval. */
  finish(): void {
    if (this.measuring) this.events.onInterval('measure', this.recorder.takeInterval(this.index++));
    this.intervalEndUs = Number.POSITIVE_INFINITY;
  }
}
