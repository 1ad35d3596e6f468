/** Monotonic time that all threads of a process (and all processes of a machine) share. */
import { performance } from 'node:perf_hooks';

/**
 * `performance.now()` is cheap but starts anew in each thread; `process.hrtime` is one clock for all but allocates. Both
 * count the same ticks, so one constant maps the first to the second. The smallest of a few differences is taken, because
 * a thread that loses the processor between the two readings would otherwise carry the gap for ever.
 */
function measureOffsetUs(): number {
  let offset = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 8; i++) {
    const before = performance.now() * 1000;
    const [seconds, nanoseconds] = process.hrtime();
    offset = Math.min(offset, seconds * 1e6 + nanoseconds / 1000 - before);
  }
  return offset;
}

const offsetUs = measureOffsetUs();

/** Monotonic time in microseconds (with a fraction), comparable between threads of one machine to about a microsecond. */
export function nowUs(): number {
  return performance.now() * 1000 + offsetUs;
}
