/** Tells the user what goes on: one line that is rewritten on a terminal, plain lines elsewhere. */
import type { TimelineRow } from '../result.ts';

/** A line of a terminal is redrawn at the most so often. */
const REDRAW_MS = 100;

export interface RunLabel {
  /** Which of all measurements, from 1. */
  index: number;
  total: number;
  target: string;
  /** The cell's axis values in words; empty without a matrix. */
  cell: string;
  repetition: number;
  repetitions: number;
}

export interface Progress {
  /** A line that stays. */
  note(text: string): void;
  begin(label: RunLabel): void;
  /** @param seconds that the phase will take, or null */
  phase(
    name: 'starting' | 'preloading' | 'warming up' | 'measuring' | 'saving' | 'reading memory' | 'crashing',
    seconds: number | null,
  ): void;
  tick(row: TimelineRow): void;
  /** @param outcome one line about the finished measurement */
  end(outcome: string): void;
  close(): void;
}

export interface ProgressStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

function where(label: RunLabel): string {
  const parts = [label.target];
  if (label.cell !== '') parts.push(label.cell);
  if (label.repetitions > 1) parts.push(`repetition ${label.repetition}/${label.repetitions}`);
  return `[${String(label.index).padStart(String(label.total).length)}/${label.total}] ${parts.join(' · ')}`;
}

/** 1234567 -> "1,234,567", the same everywhere whatever the locale. */
export function grouped(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+(?!\d))/g, ',');
}

export function createProgress(stream: ProgressStream, quiet: boolean): Progress {
  if (quiet) {
    const nothing = (): void => {};
    return { note: nothing, begin: nothing, phase: nothing, tick: nothing, end: nothing, close: nothing };
  }
  return stream.isTTY ? liveProgress(stream) : plainProgress(stream);
}

/** One line a measurement, so that a log file stays readable. */
function plainProgress(stream: ProgressStream): Progress {
  let label = '';
  return {
    note: (text) => stream.write(`${text}\n`),
    begin: (run) => {
      label = where(run);
    },
    phase: () => {},
    tick: () => {},
    end: (outcome) => stream.write(`${label}: ${outcome}\n`),
    close: () => {},
  };
}

function liveProgress(stream: ProgressStream): Progress {
  let label = '';
  let phase = '';
  let phaseSeconds: number | null = null;
  let phaseStart = 0;
  let figures = '';
  let drawn = 0;
  const draw = (force: boolean): void => {
    const now = Date.now();
    if (!force && now - drawn < REDRAW_MS) return;
    drawn = now;
    const elapsed = (now - phaseStart) / 1_000;
    const clock =
      phaseSeconds === null ? `${elapsed.toFixed(0)} s` : `${elapsed.toFixed(0)}/${phaseSeconds.toFixed(0)} s`;
    const line = `${label} · ${phase} ${clock}${figures}`;
    // A line longer than the terminal is wide would wrap and could not be rewritten.
    stream.write(`\r\x1b[K${line.slice(0, Math.max(20, (stream.columns ?? 80) - 1))}`);
  };
  let timer: NodeJS.Timeout | null = null;
  const stopTimer = (): void => {
    if (timer) clearInterval(timer);
    timer = null;
  };
  return {
    note: (text) => {
      stream.write(`\r\x1b[K${text}\n`);
    },
    begin: (run) => {
      label = where(run);
      figures = '';
      stopTimer();
      timer = setInterval(() => draw(false), 500);
      timer.unref();
    },
    phase: (name, seconds) => {
      phase = name;
      phaseSeconds = seconds;
      phaseStart = Date.now();
      figures = '';
      draw(true);
    },
    tick: (row) => {
      const gets = row.hits + row.misses;
      const hit = gets > 0 ? ` · ${((100 * row.hits) / gets).toFixed(1)} % hits` : '';
      figures = ` · ${grouped(row.operations)} operations · p99 ${grouped(row.p99)} µs${hit}`;
      draw(false);
    },
    end: (outcome) => {
      stopTimer();
      stream.write(`\r\x1b[K${label}: ${outcome}\n`);
    },
    close: () => {
      stopTimer();
      stream.write('\r\x1b[K');
    },
  };
}
